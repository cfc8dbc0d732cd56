/** @file The file for browsers under a strict policy, and the page that fits in a worker, in Chromium. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'
import { readDigits } from '../../cli/demo/digits.js'
import { laplace, readNetwork } from '../../index.js'
import { toNdArray } from '../../node/arrays.js'
import { chromium, servedPage, watchedPage } from '../support/chromium.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const keras = `${root}test/fixtures/keras/perceptron.keras`
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

t.test('networks of Keras are read where the reader of HDF5 is given, and its absence is told', async t => {
  const files: Readonly<Record<string, string>> = { '/polylaplace.js': 'dist/browser/polylaplace.js',
    '/hdf5.js': 'dist/browser/polylaplace-hdf5.js' }
  const { page, errors } = await servedPage(t, url => (files[url] === undefined
    ? { type: 'text/html', body: '<!doctype html><link rel="icon" href="data:,"><p>empty</p>' }
    : { type: 'text/javascript', body: readFileSync(`${root}${files[url]}`) }), {
    'Content-Security-Policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; img-src data:",
  })
  const bytes = readFileSync(keras)
  const found = await page.evaluate(async (bytes: number[]) => {
    const [url, hdf5] = ['/polylaplace.js', '/hdf5.js']
    const { readNetwork } = await import(url!) as typeof import('../../browser/index.js')
    const { readHdf5 } = await import(hdf5!) as typeof import('../../browser/hdf5.js')
    const network = await readNetwork(Uint8Array.from(bytes), { hdf5: readHdf5 })
    const without = await readNetwork(Uint8Array.from(bytes)).catch((error: Error) => error.message)
    return { parameters: network.parameters.length, without }
  }, Array.from(bytes))
  t.equal(found.parameters, (await readNetwork(bytes)).parameters.length)
  t.match(found.without, /polylaplace\/browser\/hdf5/)
  t.same(errors, [])
})

t.test('the page reads networks of Keras', async t => {
  const browser = await chromium()
  t.teardown(() => browser.close())
  const { page, requests, errors } = await watchedPage(browser)
  await page.goto(pathToFileURL(`${folder}/index.html`).href)
  const csv = `${folder}/rows.csv`
  writeFileSync(csv,
    ['a,b,c,d,e,class',
      ...Array.from({ length: 60 }, (_, i) => [0, 1, 2, 3, 4].map(j => Math.sin(i * (j + 1))).concat(i % 3).join())]
      .join(
        '\n',
      ))
  await (await page.$('input#network'))!.uploadFile(keras)
  await (await page.$('input#training'))!.uploadFile(csv)
  await page.click('#start')
  await page.waitForFunction(`!document.getElementById('report').hidden
    || document.getElementById('state').className === 'failed'`)
  t.match(await page.evaluate(`document.getElementById('state').textContent`), /^Done\./)
  t.ok(requests.every(url => /^(file|blob|about):/.test(url)), requests.join())
  t.same(errors, [])
})

t.test('rows that cannot be fitted to end in a sentence on the page', async t => {
  const browser = await chromium()
  t.teardown(() => browser.close())
  const { page, errors } = await watchedPage(browser)
  await page.goto(pathToFileURL(`${folder}/index.html`).href)
  await (await page.$('input#network'))!.uploadFile(keras)
  const row = (i: number): string => `${[0, 1, 2, 3, 4].map(j => Math.sin(i * (j + 1))).join()},${'uvw'[i % 3]}`
  const rows = (count: number): string[] => ['a,b,c,d,e,class', ...Array.from({ length: count }, (_, i) => row(i))]
  const cases: [name: string, lines: readonly string[] | Uint8Array, message: RegExp][] = [
    ['one', rows(1), /two rows or more|There are no examples/],
    ['header', rows(0), /a header and no rows/],
    ['ragged', [...rows(9), '1,2'], /CSV file cannot be read: .*line 11/],
    ['quote', [...rows(9), '"1,2'], /CSV file cannot be read: Quote Not Closed/],
    ['text', [...rows(9), '1,2,x,4,5,u'], /Column 'c', line 11: expected a number and found 'x'/],
    ['twice', rows(9).map(line => line.replace('b', 'a')), /Two columns or more are called 'a'/],
    ['narrow', rows(9).map(line => line.slice(line.indexOf(',') + 1)), /5/],
    ['unsorted', rows(60), /in sorted order \(u, v, w\) rows and network contradict each other/],
    ['utf16', Buffer.from(`\ufeff${rows(60).join('\n')}`, 'utf16le'), /in sorted order \(u, v, w\)/],
    ['latin', Buffer.from(rows(9).join('\n').replaceAll('u', '\u00fc'), 'latin1'), /The text is not UTF-8/],
    ['binary', new Uint8Array(64), /The file of the rows is no text/],
  ]
  for (const [name, lines, message] of cases) {
    writeFileSync(`${folder}/${name}.csv`, lines instanceof Uint8Array ? lines : lines.join('\n'))
    await (await page.$('input#training'))!.uploadFile(`${folder}/${name}.csv`)
    await page.evaluate(`document.getElementById('state').className = ''`)
    await page.click('#start')
    await page.waitForFunction(`!document.getElementById('report').hidden
      || document.getElementById('state').className === 'failed'`)
    t.match(await page.evaluate(`document.getElementById('state').textContent`), message, name)
  }
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
