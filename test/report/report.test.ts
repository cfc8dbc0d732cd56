/** @file Reports: what their pictures draw, and how the page is shown by a browser, wide, narrow, light and dark. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'puppeteer-core'
import t from 'tap'
import { laplace } from '../../core/index.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { likelihoodModel } from '../../core/likelihood/registry.js'
import { randomGenerator } from '../../core/tensor/random.js'
import { float64, type Tensor, toFloat64 } from '../../core/tensor/tensor.js'
import { report } from '../../report/report.js'
import { chromium, watchedPage } from '../support/chromium.js'
import { normalInputs, trainedNetwork } from '../support/trained-network.js'

const ROWS = 120
const random = randomGenerator(8)
const x = normalInputs(2 * ROWS, 2, 4)
const noise = Float64Array.from({ length: 2 * ROWS }, () => random.normal())
const classes = Float64Array.from(noise, (value, i) => {
  const side = x[2 * i]! + 0.7 * value
  return side > 0.6 ? 2 : side > -0.6 ? 1 : 0
})
const targets = Float64Array.from(noise, (value, i) => Math.sin(2 * x[2 * i]!) + 0.2 * value)

interface Fitted {
  readonly posterior: LaplacePosterior
  readonly x: Tensor
  readonly y: Tensor
}

async function fitted(likelihood: 'classification' | 'regression'): Promise<Fitted> {
  const [y, outputs] = likelihood === 'regression' ? [targets, 1] : [classes, 3]
  const rows = { x: x.subarray(0, 2 * ROWS), y: y.subarray(0, ROWS), examples: ROWS }
  const network = trainedNetwork(likelihoodModel(likelihood), rows, outputs, 200)
  const labels = (values: Float64Array): Tensor => float64(outputs === 1 ? [ROWS, 1] : [ROWS], values)
  const posterior = await laplace(network, { likelihood }).fit(float64([ROWS, 2], rows.x), labels(rows.y))
  return { posterior, x: float64([ROWS, 2], x.slice(2 * ROWS)), y: labels(y.slice(ROWS)) }
}

t.test("the numbers of a classifier's pictures are those of its predictions", async t => {
  const { posterior, x: rows, y } = await fitted('classification')
  const figures = await posterior.figures(rows, y)
  const { probabilities, novelty } = await posterior.predict(rows)
  const p = toFloat64(probabilities!)
  const doubt = Array.from({ length: ROWS }, (_, n) => 1 - Math.max(...p.subarray(3 * n, 3 * n + 3)))
  const [first] = figures.mostUncertain
  t.equal(first!.row, doubt.indexOf(Math.max(...doubt)))
  t.equal(first!.doubt, Math.max(...doubt))
  t.equal(first!.truth, y.data[first!.row])
  t.equal(first!.novelty, novelty!.data[first!.row])
  t.same(figures.mostUncertain.map(row => row.doubt), [...doubt].sort((a, b) => b - a).slice(0, 10))
  const own = figures.certainty.find(({ of }) => of === 'posterior')!
  t.equal(own.data.shares[19], doubt.filter(value => 1 - value >= 0.95).length / ROWS)
  t.same(figures.certainty.map(({ of }) => of), ['network', 'posterior', 'novelty'])
  const { comparison, othersGiven } = figures
  t.notOk(othersGiven)
  const { outliers, ...scores } = comparison
  t.same(scores, await posterior.compare(rows, y))
  t.equal(outliers!.length, 4)
  const { posterior: answer } = comparison
  const error = answer.likelihood === 'classification' ? 1 - answer.accuracy : NaN
  t.ok(Math.abs(figures.riskCoverage![1]!.risk.at(-1)! - error) < 1e-12, 'the risk of all rows is the error rate')
  const { factor, logMarginalLikelihood } = figures.prior!
  t.equal(logMarginalLikelihood[factor.indexOf(1)], posterior.logMarginalLikelihood())
  const given = await posterior.figures(rows, y, { outliers: rows })
  t.ok(given.othersGiven && given.comparison.outliers!.every(({ auroc }) => auroc === 0.5))
})

t.test('a regression has residuals and PIT instead', async t => {
  const { posterior, x: rows, y } = await fitted('regression')
  const { residuals, riskCoverage } = await posterior.figures(rows, y)
  const { mean, predictiveVariance } = await posterior.predict(rows)
  t.same(residuals!.residual, Array.from(y.data, (value, i) => value - mean.data[i]!))
  t.ok(residuals!.deviation.every((value, i) => Math.abs(value ** 2 / predictiveVariance!.data[i]! - 1) < 1e-12))
  t.equal(riskCoverage, undefined)
})

t.test('a page holds no markup of others, and refuses options that it does not know', async t => {
  const { posterior, x: rows, y } = await fitted('classification')
  const evil = '<img src=x onerror=alert(1)>'
  const page = await report(posterior, rows, y, { title: evil, classes: [evil, '&', '"'] })
  t.notMatch(page, /<img/)
  t.match(page, /&lt;img src=x/)
  t.notMatch(page.replaceAll('http://www.w3.org/', ''), /https?:/, 'nothing to load')
  await t.rejects(report(posterior, rows, y, { tittle: 'x' } as never), { code: 'UNKNOWN_OPTION', message: /title/ })
})

/** What a browser shows of a page. */
async function shown(page: Page): Promise<{ pictures: number, overflow: boolean, ink: string, drawn: boolean }> {
  return page.evaluate(`(() => ({
    pictures: document.querySelectorAll('figure svg').length,
    overflow: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    ink: getComputedStyle(document.body).color,
    drawn: [...document.querySelectorAll('figure svg')].every(svg => svg.getBoundingClientRect().height > 100),
  }))()`) as Promise<{ pictures: number, overflow: boolean, ink: string, drawn: boolean }>
}

t.test('a browser shows it: on a screen, on a phone, in the dark, without a request or an error', async t => {
  const folder = await mkdtemp(path.join(tmpdir(), 'report-'))
  const browser = await chromium()
  t.teardown(async () => {
    await browser.close()
    await rm(folder, { recursive: true })
  })
  for (const likelihood of ['classification', 'regression'] as const) {
    const { posterior, x: rows, y } = await fitted(likelihood)
    const file = path.join(folder, `${likelihood}.html`)
    await writeFile(file, await report(posterior, rows, y))
    const { page, requests, errors } = await watchedPage(browser)
    await page.setViewport({ width: 1200, height: 900 })
    await page.goto(pathToFileURL(file).href)
    const wide = await shown(page)
    t.ok(wide.pictures >= 5 && wide.drawn && !wide.overflow, `${wide.pictures} pictures`)
    const light = await page.screenshot()
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }])
    const dark = await shown(page)
    t.not(dark.ink, wide.ink, 'dark ink is another')
    t.notSame(await page.screenshot(), light)
    await page.setViewport({ width: 360, height: 800 })
    t.match(await shown(page), { overflow: false, drawn: true }, 'nothing is wider than a phone')
    t.same(requests, [pathToFileURL(file).href], 'the page alone is loaded')
    t.same(errors, [])
  }
})
