import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { LIBRARY_VERSION } from '../../core/options/library-version.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

t.test('versions are exact', async t => {
  for (const group of ['dependencies', 'optionalDependencies', 'devDependencies', 'overrides']) {
    for (const [name, version] of Object.entries<string>(manifest[group])) {
      t.match(version, /^\d+\.\d+\.\d+$/, `${group}: ${name}`)
    }
  }
})

t.test('exports: types first, and every target is built', async t => {
  for (const [path, target] of Object.entries<Record<string, string> | string>(manifest.exports)) {
    const targets = typeof target === 'string' ? [target] : Object.values(target)
    if (typeof target === 'object') {
      t.equal(Object.keys(target)[0], 'types', `${path}: TypeScript takes the first condition that fits`)
    }
    for (const file of targets.filter(file => !file.includes('*'))) {
      t.ok(existsSync(root + file), `${file} is there (npm run build)`)
    }
  }
  for (const file of Object.values<string>(manifest.bin)) {
    t.match(readFileSync(root + file, 'utf8'), /^#!\/usr\/bin\/env node\n/, `${file} can be run`)
  }
})

t.test('the package holds what is needed to run it, and nothing else', async t => {
  const [{ files, size }] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'] }),
  )
  const paths = files.map((file: { path: string }) => file.path) as string[]
  const wanted = [/^dist\/packed\/[\w-]+\.mjs$/, /^dist\/browser\/polylaplace(-hdf5)?\.js$/,
    /^dist\/(index|(core|node|adapters|protocol|report|cli|browser)\/[\w/-]+)\.d\.ts$/, /^demo\/digits\.(onnx|json)$/,
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md)$/]
  t.same(paths.filter(path => !wanted.some(pattern => pattern.test(path))), [], 'nothing else')
  for (const path of ['dist/packed/index.mjs', 'dist/index.d.ts', 'dist/packed/cli.mjs', 'dist/packed/core.mjs',
    'dist/packed/worker.mjs', 'dist/packed/adapters-onnx.mjs', 'demo/digits.onnx', 'demo/digits.json', 'LICENSE',
    'README.md', 'CHANGELOG.md']) {
    t.ok(paths.includes(path), path)
  }
  // Two thirds are the files for browsers, which hold everything, and HDF5.
  t.ok(size < 3.5e6, `${size} bytes packed`)
})

t.test('files are told the version of the package', async t => {
  t.equal(LIBRARY_VERSION, manifest.version)
})

t.test('onnxruntime-node loads', async t => {
  const { InferenceSession } = createRequire(import.meta.url)('onnxruntime-node') as {
    InferenceSession: { create(path: string): Promise<{ inputNames: string[] }> }
  }
  const session = await InferenceSession.create(`${root}demo/digits.onnx`)
  t.same(session.inputNames, ['pixels'])
})

t.test('every command that the documents name is one of package.json', async t => {
  let named = 0
  for (const file of ['README.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'docs/decisions.md', 'docs/security.md',
    'docs/protocol.md', 'docs/formats.md', 'docs/performance.md', 'docs/corpus.md', 'clients/python/README.md',
    'clients/r/README.md']) {
    for (const [, script] of readFileSync(root + file, 'utf8').matchAll(
      /\bnpm (?:run )?(demo|test|[a-z]+:[a-z-]+|(?<=run )[a-z]+)\b/g,
    )) {
      named++
      t.ok(script in manifest.scripts, `${file}: npm run ${script}`)
    }
  }
  t.ok(named > 5)
})
