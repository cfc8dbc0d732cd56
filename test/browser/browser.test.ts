/** @file The file for browsers under a strict policy, and the page that fits in a worker, in Chromium. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'
import { readDigits } from '../../cli/demo/digits.js'
import { laplace, readNetwork } from '../../index.js'
import { toNdArray } from '../../node/arrays.js'
import { chromium, servedPage, watchedPage } from '../support/chromium.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = t.testdir({})
execFileSync(process.execPath, ['scripts/build-browser.mjs', '--page', folder], { cwd: root })

t.test('the file for browsers has no import and makes no code', async t => {
  const file = readFileSync(`${root}dist/browser/polylaplace.js`, 'utf8')
  t.notMatch(file, /\bfrom\s*["'](node:|\.)/)
  t.notMatch(file, /\brequire\(["']/)
  // No data, no code of others; kernels in WebAssembly are compiled, which is not evaluating.
  const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; img-src data:"
  const { page, errors } = await servedPage(t, url => (url === '/polylaplace.js'
    ? { type: 'text/javascript', body: file }
    : { type: 'text/html', body: '<!doctype html><link rel="icon" href="data:,"><p>empty</p>' }), {
    'Content-Security-Policy': policy,
  })
  const { training, unseen } = await readDigits()
  const network = readFileSync(`${root}demo/digits.onnx`)
  const rows = 60
  const [x, y, xNew] = [training.x.data.slice(0, 64 * 200), training.y.data.slice(0, 200),
    unseen.x.data.slice(0, 64 * rows)].map(values => Array.from(values))
  const inBrowser = await page.evaluate(async (network: number[], x: number[], y: number[], xNew: number[]) => {
    const url = '/polylaplace.js'
    const { laplace, readNetwork } = await import(url) as typeof import('../../browser/index.js')
    const matrix = (values: number[]): number[][] =>
      Array.from({ length: values.length / 64 }, (_, i) => values.slice(64 * i, 64 * i + 64))
    const posterior = await laplace(await readNetwork(Uint8Array.from(network)), { likelihood: 'classification' })
      .fit(matrix(x), y)
    const { probabilities } = await posterior.predict(matrix(xNew))
    return { structure: posterior.structure, probabilities: Array.from(probabilities?.data ?? []),
      onnx: (await posterior.toOnnx()).length, saved: posterior.save().length }
  }, Array.from(network), x!, y!, xNew!)
  const own = await laplace(await readNetwork(network), { likelihood: 'classification' })
    .fit(toNdArray({ ...training.x, shape: [200, 64], data: Float32Array.from(x!) }), y!)
  const { probabilities } = await own.predict(
    toNdArray({ ...unseen.x, shape: [rows, 64], data: Float32Array.from(xNew!) }),
  )
  t.equal(inBrowser.structure, own.structure)
  const difference = Math.max(...inBrowser.probabilities.map((p, i) => Math.abs(p - Number(probabilities!.data[i]))))
  t.ok(difference < 1e-6, `probabilities differ by ${difference}`)
  t.ok(inBrowser.onnx > 5000 && inBrowser.saved > 5000, 'it is saved and exported')
  t.same(errors, [])
})

t.test('the page fits its example with one click, and sends nothing', async t => {
  const browser = await chromium()
  t.teardown(() => browser.close())
  const { page, requests, errors } = await watchedPage(browser)
  const address = pathToFileURL(`${folder}/index.html`).href
  await page.goto(address)
  await page.click('#start')
  await page.waitForFunction(`document.getElementById('state').className === 'failed'`)
  t.match(await page.evaluate(`document.getElementById('state').textContent`), /Choose a network/)
  await page.click('#try')
  await page.waitForFunction(`!document.getElementById('report').hidden`)
  const { state, files, report } = await page.evaluate(`({
    state: document.getElementById('state').textContent,
    files: [...document.querySelectorAll('#downloads a')].map(a => a.download),
    report: document.getElementById('report').srcdoc,
  })`) as { state: string, files: string[], report: string }
  t.equal(state, 'Done.')
  t.same(files, ['report.html', 'network.posterior', 'posterior.onnx'])
  t.match(report, /classification network on 400 rows[^]*<svg/)
  t.ok(requests.every(url => url === address || url.startsWith('blob:') || url.startsWith('about:')), requests.join())
  t.same(errors, [])
})
