/** @file What is promised of the built package, tried in processes of its own. */
import { execFile } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { parquetTable } from '../../cli/data/parquet.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const node = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, args, { cwd: root, env: { PATH: process.env['PATH'] } })).stdout.trim()
const script = (...lines: string[]): string[] => ['--input-type=module', '--eval', lines.join('\n')]

t.test('the core loads no native code and no module of Node', async t => {
  // The loader's hook reports every module that is asked for; native code would be process.dlopen.
  const report = JSON.parse(await node(...script(
    "import { register } from 'node:module'",
    "import { MessageChannel } from 'node:worker_threads'",
    'const { port1, port2 } = new MessageChannel()',
    'const seen = []',
    "port1.on('message', url => { seen.push(url) })",
    'port1.unref()',
    'const hooks = `let port; export function initialize(data) { port = data.port }',
    'export async function resolve(name, context, next) {',
    'const found = await next(name, context); port.postMessage(found.url); return found }`',
    "register('data:text/javascript,' + encodeURIComponent(hooks), { data: { port: port2 }, transferList: [port2] })",
    'let native = 0',
    'const dlopen = process.dlopen',
    'process.dlopen = function (...args) { native++; return dlopen.apply(this, args) }',
    "await import('polylaplace/core')",
    'await new Promise(resolve => setTimeout(resolve, 200))',
    'console.log(JSON.stringify({ native, seen }))',
  )))
  t.equal(report.native, 0)
  t.ok(report.seen.length > 40, `${report.seen.length} modules`)
  t.same(report.seen.filter((url: string) => url.startsWith('node:')), [])
  t.same([...new Set(report.seen.flatMap((url: string) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []))],
    ['@noble/hashes'], 'one package, for fingerprints')
})

t.test('core and ONNX reader run where code must not be generated from strings', async t => {
  const text = await node('--disallow-code-generation-from-strings', ...script(
    "import { readFileSync } from 'node:fs'",
    "import { laplace, loadPosterior, tensor } from 'polylaplace/core'",
    "import { readOnnx } from 'polylaplace/adapters/onnx'",
    "let forbidden = false; try { new Function('return 1') } catch { forbidden = true }",
    "const network = readOnnx(readFileSync('demo/digits.onnx'))",
    "const { pixels, labels } = JSON.parse(readFileSync('demo/digits.json', 'utf8'))",
    "const ink = Buffer.from(pixels, 'base64').subarray(0, 200 * 64)",
    "const x = tensor('float32', [200, 64], Float32Array.from(ink, value => value / 16))",
    "const y = tensor('int64', [200], Array.from(labels.slice(0, 200), Number))",
    'const answers = []',
    "const pairs = ['kron', 'diag'].flatMap(name => [[name, 'last_layer'], [name, 'all']])",
    "for (const [structure, subset] of [...pairs, ['full', 'last_layer']]) {",
    "  const posterior = await laplace(network, { likelihood: 'classification', subset, structure }).fit(x, y)",
    '  const { probabilities } = await loadPosterior(posterior.save()).predict(x)',
    '  answers.push(probabilities.data.every(Number.isFinite))',
    '}',
    'console.log(JSON.stringify({ forbidden, answers }))',
  ))
  t.same(JSON.parse(text), { forbidden: true, answers: [true, true, true, true, true] })
})

t.test('the program runs, from any folder', async t => {
  const { version } = JSON.parse(
    await node(
      ...script("import { readFileSync } from 'node:fs'", "console.log(readFileSync('package.json', 'utf8'))"),
    ),
  )
  const main = `${root}dist/packed/cli.mjs`
  const { stdout } = await promisify(execFile)(process.execPath, [main, '--version'], { cwd: t.testdir({}) })
  t.equal(stdout, `${version}\n`)
  t.match(await node(main, 'selftest'), /All is well/)
  const help = await node(main, 'serve', '--help')
  t.match(help, 'Example\n  polylaplace serve')
  t.same(help.split('\n').filter(line => line.length > 80), [], 'serve --help fits 80')
  const folder = t.testdir({
    'line.csv': `x,y\n${[...Array(30).keys()].map(i => `${i / 10},${Math.sin(i / 5)}`).join('\n')}\n`,
  })
  const saved = join(folder, 'line.posterior')
  await node(main, 'fit', 'test/fixtures/cases/regression-1d/model.onnx', '--data', join(folder, 'line.csv'),
    '--likelihood', 'regression', '--out', saved)
  const piped = promisify(execFile)(process.execPath, [main, 'predict', saved, '--data', '-', '--format', 'csv'])
  piped.child.stdin?.end('x\n0.5\n')
  t.match((await piped).stdout, /^mean,sd/, 'rows from stdin, predictions to stdout')
  await t.rejects(node(main, 'fit'), { code: 2, stderr: /fit needs MODEL/ })
  await t.rejects(node(main, 'inspect', 'absent'), { code: 1, stderr: /there is no such file/ })
})

t.test('what is packed is enough: every entry loads, and the demo runs', async t => {
  const folder = t.testdir({})
  const run = promisify(execFile)
  await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: root })
  const { version, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  await run('tar', ['xzf', `polylaplace-${version}.tgz`], { cwd: folder })
  const unpacked = join(folder, 'package')
  symlinkSync(join(root, 'node_modules'), join(unpacked, 'node_modules'), 'dir')
  const adapters = ['onnx', 'onnxruntime', 'network', 'pytorch', 'safetensors', 'keras', 'flux', 'layers', 'nnet',
    'sklearn']
  const entries = Object.keys(exports).filter(path => !path.includes('*') && !path.endsWith('.json')).map(path =>
    `polylaplace${path.slice(1)}`
  )
  // A package may import itself by its name.
  const names = [...entries, ...adapters.map(name => `polylaplace/adapters/${name}`)]
  const { stdout } = await run(process.execPath,
    script(...names.map((name, i) => `import * as m${i} from '${name}'`),
      `console.log(JSON.stringify([${names.map((_, i) => `Object.keys(m${i}).length`).join(', ')}]))`), {
    cwd: unpacked,
  })
  for (const [i, count] of (JSON.parse(stdout) as number[]).entries()) t.ok(count > 0, names[i])
  const demo = await run(process.execPath, ['dist/packed/cli.mjs', 'demo', '--json'], { cwd: unpacked })
  t.equal(JSON.parse(demo.stdout).summary.tuned, 'auto')
})

t.test('the program writes predictions as Parquet, with the numbers of CSV', async t => {
  const folder = t.testdir({ 'line.csv': 'x0,answer\n-1,0.5\n0,0.1\n1,-0.3\n2,0.9\n' })
  const [data, posterior, out] = ['line.csv', 'a.posterior', 'a.parquet'].map(name => join(folder, name))
  await node('dist/packed/cli.mjs', 'fit', 'test/fixtures/cases/regression-1d/model.onnx', '--data', data,
    '--likelihood', 'regression', '--subset', 'last_layer', '--structure', 'full', '--tune', 'none',
    '--prior-precision', '1', '--out', posterior)
  const predict = ['dist/packed/cli.mjs', 'predict', posterior, '--data', data, '--target', 'answer']
  const [header, ...rows] = (await node(...predict, '--format', 'csv')).split('\n')
  await node(...predict, '--out', out)
  const { columns } = await parquetTable(readFileSync(out))
  t.same(columns.map(({ name }) => name), header.split(','))
  t.same(columns.map(({ cells }) => Array.from(cells)),
    columns.map((_, i) => rows.map(row => Number(row.split(',')[i]))))
})
