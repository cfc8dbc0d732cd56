/**
 * @file Bundles the modules that `tsc` has written to dist into the few files of dist/packed, which package.json names:
 * each of several hundred modules would cost a program and every one of its threads half a millisecond and 50 kB.
 *
 * Entries share what they have in common, so their classes are the same. Threads' modules lie beside all others, where
 * node/runtime/module-beside.ts and protocol/worker/worker-file.ts look for them. Packages stay outside. Names and
 * lines stay, which errors show.
 */
import { build } from 'esbuild'
import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')
const THREADS = ['worker-thread', 'call-thread', 'product-thread']
const adapters = readdirSync(join(dist, 'adapters')).filter(name =>
  readdirSync(join(dist, 'adapters', name)).includes('index.js')
)
const entries = {
  'index': 'index.js',
  'core': 'core/index.js',
  'protocol': 'protocol/index.js',
  'cli': 'cli/main.js',
  'worker': 'protocol/worker/worker.js',
  'hdf5-thread': 'node/files/hdf5-thread.mjs',
  ...Object.fromEntries(THREADS.map(name => [name, `node/runtime/${name}.mjs`])),
  ...Object.fromEntries(adapters.map(name => [`adapters-${name}`, `adapters/${name}/index.js`])),
}

const outdir = join(dist, 'packed')
await rm(outdir, { recursive: true, force: true })
await build({
  entryPoints: Object.entries(entries).map(([out, path]) => ({ in: join(dist, path), out })),
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  logLevel: 'warning',
})
