// Bundles the package's entry for browsers into one file, and the page that fits in a worker into another.
//
// What browsers do not have is replaced: worker threads and ONNX Runtime (the embedded engine runs alone), files (bytes
// are given and taken), and HDF5's library, which is larger than everything else and
// has a file of its own.
// `node scripts/build-browser.mjs` writes both into dist/browser; with `--page FOLDER` also FOLDER/index.html.
import { build } from 'esbuild'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** What stands for modules of Node in a browser. */
const REPLACED = [
  [/[\\/]node[\\/]runtime[\\/]runtime\.ts$/, 'export const nodeRuntime = {}'],
  [/[\\/]node[\\/]runtime[\\/]attended\.ts$/, `import { laplace } from '../../core/laplace/laplace.js'
export const attendedLaplace = (network, options) => laplace(network, options, {})
export const attended = core => core`],
  [/[\\/]node[\\/]files[\\/]write-file\.ts$/,
    "export const writeWhole = () => { throw new Error('A browser has no files: take the bytes of save().') }"],
  [/[\\/]node[\\/]files[\\/]write-model\.ts$/,
    "export const writeModel = () => { throw new Error('A browser has no files: take the bytes of toOnnx().') }"],
]

const FOR_BROWSERS = {
  name: 'for-browsers',
  setup: ({ onLoad, onResolve }) => {
    for (const [filter, contents] of REPLACED) onLoad({ filter }, () => ({ contents }))
    // The package makes code while it runs, which a policy may forbid.
    onResolve({ filter: /^ndarray$/ }, () => ({ path: 'ndarray', namespace: 'views' }))
    onLoad({ filter: /.*/, namespace: 'views' }, () => ({
      contents: `export { ndarray as default } from ${JSON.stringify(join(root, 'browser/ndarray.ts'))}`,
      resolveDir: root,
    }))
  },
}

const WITHOUT_HDF5 = {
  name: 'without-hdf5',
  setup: ({ onResolve }) => onResolve({ filter: /^h5wasm$/ }, () => ({ path: join(root, 'browser/no-hdf5.ts') })),
}

async function bundle(entry, format, ...plugins) {
  const { outputFiles: [{ text }] } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    format,
    platform: 'browser',
    target: 'es2022',
    charset: 'utf8',
    alias: {
      'msgpackr/unpack': join(root, 'node_modules/msgpackr/unpack.js'),
      'csv-parse/sync': join(root, 'node_modules/csv-parse/dist/esm/sync.js'),
    },
    plugins: [FOR_BROWSERS, ...plugins],
    minify: true,
    legalComments: 'eof',
    logLevel: 'warning',
  })
  return text
}

/** The example of the page: the demo's network, its training rows and some that it has not seen, as CSV. */
async function example() {
  const { trainingRows, scale, pixels, labels } = JSON.parse(await readFile(join(root, 'demo/digits.json'), 'utf8'))
  const ink = Buffer.from(pixels, 'base64')
  const side = ink.length / labels.length
  const csv = (from, to) =>
    [
      [...Array.from({ length: side }, (_, i) => `p${i}`), 'digit'].join(),
      ...Array.from({ length: to - from }, (_, i) =>
        [...Array.from(ink.subarray((from + i) * side, (from + i + 1) * side), value => value / scale),
          labels[from + i]]
          .join()),
    ].join('\n')
  return { network: (await readFile(join(root, 'demo/digits.onnx'))).toString('base64'), training: csv(0, trainingRows),
    heldOut: csv(trainingRows, trainingRows + 400) }
}

const inScript = text => text.replaceAll('</script', '<\\/script')
const hash = text => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** One page that holds everything: its scripts are allowed by their hashes, and nothing may be loaded or sent. */
async function page() {
  const worker = await bundle('browser/page/worker.ts', 'iife', WITHOUT_HDF5)
  const hdf5 = gzipSync(await bundle('browser/page/hdf5-thread.ts', 'iife')).toString('base64')
  const data = JSON.stringify({ worker, hdf5, example: await example() }).replaceAll('<', '\\u003c')
  const script = inScript(await bundle('browser/page/page.ts', 'iife'))
  const policy = `default-src 'none'; script-src ${hash(script)} 'wasm-unsafe-eval'; worker-src blob:; `
    + "style-src 'unsafe-inline'; img-src data: blob:; frame-src 'self' blob:"
  const html = await readFile(join(root, 'browser/page/page.html'), 'utf8')
  const parts = { POLICY: policy, DATA: `<script type="application/json" id="data">${data}</script>`,
    SCRIPT: `<script>${script}</script>` }
  return html.replace(/<!-- (POLICY|DATA|SCRIPT) -->|\{POLICY\}/g, (_, name = 'POLICY') => parts[name])
}

async function write(file, text) {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

await write(join(root, 'dist/browser/polylaplace.js'), await bundle('browser/index.ts', 'esm', WITHOUT_HDF5))
await write(join(root, 'dist/browser/polylaplace-hdf5.js'), await bundle('browser/hdf5.ts', 'esm'))
const [flag, folder] = process.argv.slice(2)
if (flag === '--page') {
  const file = join(resolve(folder), 'index.html')
  await write(file, await page())
  console.log(`Wrote ${file}: open it in a browser, or serve it from anywhere.`)
}
