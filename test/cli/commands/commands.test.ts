import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readOnnx, writeOnnx } from '../../../adapters/onnx/index.js'
import { readNpy, writeNpy } from '../../../cli/data/npy.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { Mixture } from '../../../core/laplace/posterior-mixture.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { chain, dense, file as bson, type Lowered, numbers } from '../../adapters/flux/julia-writer.js'
import { run } from '../../support/command-line.js'
import { relativeDifference } from '../../support/compare.js'
import { referenceCase } from '../../support/reference-case.js'
import { model, SPECIES, writeCsv } from './case-rows.js'

const folder = t.testdir({})
const inFolder = (name: string): string => join(folder, name)

t.test('fit and predict from CSV with text labels', async t => {
  const train = writeCsv(inFolder('iris.csv'), 'tabular-iris', 'train', value => SPECIES[value])
  const fit = await run('fit', model('tabular-iris'), '--data', train, '--likelihood', 'classification', '--subset',
    'last_layer', '--tune', 'linearized', '--out', inFolder('iris.posterior'), '--json')
  t.equal(fit.code, 0, fit.remarks)
  const summary = JSON.parse(fit.out)
  t.same(summary.labels, SPECIES)
  const values = JSON.parse(readFileSync(new URL('../../fixtures/linearized.json', import.meta.url), 'utf8')).values
  t.ok(Math.abs(summary.priorPrecision[0] / values['tabular-iris'].kron.prior_precision - 1) < 1e-6,
    'the prior is that of the reference')

  const test = writeCsv(inFolder('iris-test.csv'), 'tabular-iris', 'test', undefined)
  const prediction = JSON.parse((await run('predict', inFolder('iris.posterior'), '--data', test, '--json')).out)
  const probit = values['tabular-iris'].kron.probit
  t.ok(relativeDifference(prediction.probabilities.flat(), probit.data) < 1e-6,
    'the probabilities are those of the reference')
  t.same(prediction.labels, SPECIES)

  const csv = (await run('predict', inFolder('iris.posterior'), '--data', test, '--format', 'csv')).out
  const rows = csv.trim().split('\n').map(line => line.split(','))
  t.match([rows[0][0], rows[0].at(-1)], ['class', 'label'])
  t.ok(rows.slice(1).every(cells => cells.at(-1) === SPECIES[Number(cells[0])]), 'CSV has the names of the classes')

  const table = await run('predict', inFolder('iris.posterior'), '--data',
    writeCsv(inFolder('scored.csv'), 'tabular-iris', 'test', value => SPECIES[value]), '--target', 'answer')
  t.match(table.out, /row {2}class +probability/)
  t.match(table.out, /nll 0\.\d+ +ece 0\.\d+ +brier 0\.\d+ +accuracy 0\.9211/)
  t.ok(table.out.split('\n').every(line => line.length <= 100), 'no line is wider than 100 characters')
})

t.test('the one column that the network does not take is left out, and said; others are refused', async t => {
  const bare = await run('predict', inFolder('iris.posterior'), '--data', inFolder('iris-test.csv'), '--json')
  const rows = (argv: string[]): Promise<Awaited<ReturnType<typeof run>>> =>
    run('predict', inFolder('iris.posterior'), '--data', ...argv)
  for (const answer of [(value: number) => SPECIES[value], String]) {
    const more = await rows([writeCsv(inFolder('more.csv'), 'tabular-iris', 'test', answer), '--json'])
    t.same(JSON.parse(more.out), JSON.parse(bare.out))
    t.match(more.remarks.replace(/\s+/g, ' '), /column 'answer' is none of .* left out; .*--target/)
  }
  const lines = readFileSync(inFolder('more.csv'), 'utf8').trim().split('\n')
  writeFileSync(inFolder('two-more.csv'), lines.map((line, i) => (i === 0 ? `${line},note` : `${line},7`)).join('\n'))
  const two = await rows([inFolder('two-more.csv')])
  t.equal(two.code, 1)
  t.match(two.remarks.replace(/\s+/g, ' '), /'answer'.* not among them.*name their column with --target/)
  writeFileSync(inFolder('renamed.csv'), lines.map(line => line.replace('x0', 'z')).join('\n'))
  t.match((await rows([inFolder('renamed.csv')])).remarks.replace(/\s+/g, ' '), /name their column with --target/)
})

t.test('regression, written to every kind of file', async t => {
  const train = writeCsv(inFolder('line.csv'), 'regression-1d', 'train', String)
  const fit = await run('fit', model('regression-1d'), '--data', train, '--likelihood', 'regression', '--structure',
    'full', '--tune', 'linearized', '--out', inFolder('line.posterior'))
  t.equal(fit.code, 0, fit.remarks)
  t.match(fit.out, /Noise +standard deviation 0\.\d+/)
  const test = writeCsv(inFolder('line-test.csv'), 'regression-1d', 'test', undefined)
  const { x, y, xTest } = referenceCase('regression-1d')
  const posterior = await laplace(referenceCase('regression-1d').graph, { likelihood: 'regression', structure: 'full',
    tune: 'linearized' })
    .fit(x, y)
  const { mean, variance, predictiveVariance } = await posterior.predict(xTest)
  const expected = Array.from(mean.data,
    (value, i) => [value, Math.sqrt(variance.data[i]), Math.sqrt(predictiveVariance!.data[i])])
  for (const ending of ['csv', 'npy', 'json']) {
    const file = inFolder(`line.${ending === 'csv' ? 'out.csv' : ending}`)
    t.equal((await run('predict', inFolder('line.posterior'), '--data', test, '--out', file)).code, 0)
    const bytes = readFileSync(file)
    const rows = ending === 'npy' ?
      Array.from(readNpy(bytes).data)
      : ending === 'csv' ?
      bytes.toString().trim().split('\n').slice(1).flatMap(line => line.split(',').map(Number))
      : (({ mean: m, standardDeviation: s, predictiveStandardDeviation: p }) =>
        m.flatMap((row: number[], i: number) => [row[0], s[i][0], p[i][0]]))(JSON.parse(bytes.toString()))
    t.ok(relativeDifference(rows, expected.flat()) < 1e-6, ending)
  }
  const predict = ['predict', inFolder('line.posterior'), '--data', test]
  t.match(await run(...predict, '--out', 'x.txt'), { code: 2, remarks: /\.csv, \.json, \.npy or\s+\.parquet/ })
  const csv = readFileSync(inFolder('line.out.csv'), 'utf8')
  t.equal((await run(...predict, '--format', 'csv')).out, csv, 'to stdout')
  t.equal((await run(...predict, '--out', '-', '--format', 'csv')).out, csv)
  t.equal((await run(...predict, '--out', inFolder('line.txt'), '--format', 'csv')).code, 0)
  t.equal(readFileSync(inFolder('line.txt'), 'utf8'), csv)
  t.match(await run(...predict, '--format', 'cvs'), { code: 2, remarks: /Did\s+you\s+mean\s+'csv'/ })
  t.match(await run(...predict, '--out', '-'), { code: 2, remarks: /--format/ })
})

t.test('labels of several positions are arrays, -100 for those left out, and columns of them are refused', async t => {
  const b = new GraphBuilder('float32')
  const values = (count: number, of: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => of(i))
  const weight = tensor('float32', [3, 4], values(12, i => Math.sin(7 * i)))
  const graph = b.build([b.node('MatMul', [b.input('x', [BATCH, 5, 3]), b.parameter('w', weight, true)])])
  writeFileSync(inFolder('positions.onnx'), writeOnnx(graph))
  const x = tensor('float32', [20, 5, 3], values(300, i => Math.sin(i * i)))
  const y = tensor('int64', [20, 5], values(100, i => i % 9 === 0 ? -100 : i * i % 4))
  writeFileSync(inFolder('x.npy'), writeNpy(x))
  writeFileSync(inFolder('labels.npy'), writeNpy(y))
  const options = ['--likelihood', 'classification', '--subset', 'last_layer', '--structure', 'full',
    '--prior-precision', '1', '--out', inFolder('positions.posterior')]
  const fit = await run('fit', inFolder('positions.onnx'), '--data', inFolder('x.npy'), '--target',
    inFolder('labels.npy'), ...options)
  t.equal(fit.code, 0, fit.remarks)
  const expected = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', structure: 'full',
    priorPrecision: 1 }).fit(x, y)
  const { probabilities } = JSON.parse(
    (await run('predict', inFolder('positions.posterior'), '--data', inFolder('x.npy'), '--json')).out,
  )
  t.ok(relativeDifference(probabilities.flat(2), (await expected.predict(x)).probabilities!.data) < 1e-6)
  writeFileSync(inFolder('columns.csv'), 'a,b,y0,y1\n1,2,0,1\n3,4,1,0\n')
  const refused = await run('fit', inFolder('positions.onnx'), '--data', inFolder('columns.csv'), '--target', 'y0,y1',
    ...options)
  t.match(refused.remarks.replace(/\s+/g, ' '), /one target column.*--target Y\.npy.*-100/)
})

t.test('a file of several networks asks which', async t => {
  const random = numbers(1)
  const layer = (): Lowered => dense(3, 4, random(12), random(3))
  writeFileSync(inFolder('several.bson'), bson({ encoder: chain(layer()), decoder: chain(layer()) }))
  const data = ['--data', writeCsv(inFolder('iris.csv'), 'tabular-iris', 'train', String), '--likelihood',
    'classification']
  const out = ['--out', inFolder('several.posterior')]
  const asked = await run('fit', inFolder('several.bson'), ...data, ...out)
  t.match(asked.remarks.replace(/\s+/g, ' '), /encoder.*decoder.*--model/)
  const named = await run('fit', inFolder('several.bson'), '--model', 'decoder', ...data, ...out)
  t.equal(named.code, 0, named.remarks)
})

t.test('a network with an input a column takes those of a table by name', async t => {
  const folder = new URL('../../fixtures/onnx/', import.meta.url)
  const { columns, y, probabilities } = JSON.parse(readFileSync(new URL('columns.json', folder), 'utf8')) as {
    columns: Record<string, number[]>
    y: number[]
    probabilities: number[][]
  }
  const write = (name: string, header: readonly string[], renamed = header): string => {
    const table: Record<string, number[]> = { ...columns, y }
    const lines = [renamed, ...y.map((_, i) => header.map(column => table[column][i]))]
    writeFileSync(inFolder(name), lines.map(line => line.join()).join('\n'))
    return inFolder(name)
  }
  const posterior = inFolder('columns.posterior')
  const train = write('columns-train.csv', ['income', 'y', 'kind', 'age'])
  const fit = await run('fit', fileURLToPath(new URL('sklearn-columns.onnx', folder)), '--data', train, '--target', 'y',
    '--likelihood', 'classification', '--subset', 'all', '--structure', 'diag', '--prior-precision', '1e12', '--out',
    posterior)
  t.equal(fit.code, 0, fit.remarks)
  const { code, out } = await run('predict', posterior, '--data', write('kind-first.csv', ['kind', 'age', 'income']),
    '--json')
  t.equal(code, 0)
  t.ok(relativeDifference(JSON.parse(out).probabilities.flat(), probabilities.flat()) < 1e-6)
  t.equal((await run('evaluate', posterior, '--data', train, '--target', 'y')).code, 0)
  t.match(
    await run('predict', posterior, '--data',
      write('salary.csv', ['kind', 'age', 'income'], ['kind', 'age', 'salary'])),
    { code: 1, remarks: /no\s+input\s+'salary'/ },
  )
  t.match(await run('predict', posterior, '--data', write('two.csv', ['kind', 'age'])), { code: 1,
    remarks: /'income'\s+is\s+missing/ })
})

t.test('npz and safetensors hold the same data', async t => {
  const fitted: unknown[] = []
  for (const file of ['data.npz', 'data.safetensors']) {
    const fit = await run('fit', model('digits'), '--data', model('digits', file), '--likelihood', 'classification',
      '--tune', 'linearized', '--out', inFolder('digits.posterior'), '--json')
    t.equal(fit.code, 0, fit.remarks)
    const { seconds, ...rest } = JSON.parse(fit.out)
    t.ok(seconds > 0)
    fitted.push(rest)
    const scored = JSON.parse(
      (await run('predict', inFolder('digits.posterior'), '--data', model('digits', file), '--inputs', 'x_test',
        '--target', 'y_test', '--json')).out,
    )
    t.equal(scored.metrics.accuracy, referenceCase('digits').expected.metrics_map.accuracy)
  }
  t.same(fitted[0], fitted[1])
  const wrong = await run('fit', model('digits'), '--data', model('digits', 'data.npz'), '--target', 'y_tst',
    '--likelihood', 'classification', '--out', inFolder('x'))
  t.equal(wrong.code, 1)
  t.match(wrong.remarks.replace(/\s+/g, ' '),
    /There is no array 'y_tst'; the file holds .*x_test.*Did you mean 'y_test'\?/)
})

t.test('every flag of fit reaches the posterior', async t => {
  const train = writeCsv(inFolder('iris.csv'), 'tabular-iris', 'train', value => SPECIES[value])
  const fit = await run('fit', model('tabular-iris'), '--data', train, '--likelihood', 'classification', '--subset',
    'all', '--structure', 'diag', '--prior-precision', '2.5', '--temperature', '0.5', '--seed', '7', '--precision',
    'float32', '--batch-size', '10', '--out', inFolder('flags.posterior'), '--json')
  t.match(JSON.parse(fit.out), { subset: 'all', structure: 'diag', priorPrecision: [2.5], temperature: 0.5, seed: 7,
    precision: 'float32', tuned: 'none' })
  const gp = async (...flags: string[]) =>
    JSON.parse(
      (await run('fit', model('tabular-iris'), '--data', train, '--likelihood', 'classification', '--subset', 'all',
        '--structure', 'gp', '--prior-precision', '2.5', '--out', inFolder('gp.posterior'), '--json', ...flags)).out,
    )
      .logMarginalLikelihood as number
  const own = [await gp(), await gp('--independent-outputs'), await gp('--nystroem', '--n-subset', '5')]
  t.ok(own.every(Number.isFinite) && new Set(own).size === 3, String(own))
  const grid = ['fit', model('tabular-iris'), '--data', train, '--likelihood', 'classification', '--tune', 'grid',
    '--out', inFolder('grid.posterior'), '--json']
  t.equal((await run(...grid)).code, 2, 'grid without validation data is wrong use')
  t.match(
    JSON.parse(
      (await run(...grid, '--validation',
        writeCsv(inFolder('valid.csv'), 'tabular-iris', 'test', value => SPECIES[value]))).out,
    ),
    { tuned: 'grid' },
  )
})

t.test('demo', async t => {
  const { code, out, remarks } = await run('demo')
  t.equal(code, 0, remarks)
  t.ok(out.split('\n').every(line => line.length <= 80), 'no line is wider than 80 characters')
  t.match(out, /1,297 digits that the network has not seen/)
  t.match(out, /novelty +p = 0\.\d+/)

  const { summary, contenders, novelty } = JSON.parse((await run('demo', '--json')).out)
  const [network, posterior, lastLayer, marglik] = contenders
  t.match(summary, { subset: 'all', structure: 'lowrank', tuned: 'auto', examples: 500, choice: { rows: 500 } })
  t.ok(posterior.scores.nll < 0.995 * network.scores.nll, `NLL ${network.scores.nll} to ${posterior.scores.nll}`)
  t.ok(posterior.scores.accuracy > network.scores.accuracy - 1e-3, 'no more than one answer is lost')
  t.ok(lastLayer.scores.nll < 0.98 * network.scores.nll, `NLL ${network.scores.nll} to ${lastLayer.scores.nll}`)
  t.ok(posterior.strangers[0].auroc >= network.strangers[0].auroc, 'noise is told from digits no worse')
  t.ok(
    posterior.strangers.every((stranger: { confidence: number }, i: number) =>
      stranger.confidence < network.strangers[i].confidence
    ),
    'strangers are trusted less',
  )
  const [unseen, noise, turned] = novelty
  t.ok(unseen.flagged < 0.1 && noise.flagged > 0.9 && turned.flagged > 0.4, 'novelty tells pictures that are none')
  t.ok(marglik.scores.nll > 2 * network.scores.nll, "marglik at the network's own weights doubts too much")
})

t.test('fit without an option says what it chose; evaluate, conformalize, levels and quantiles', async t => {
  const train = writeCsv(inFolder('iris.csv'), 'tabular-iris', 'train', value => SPECIES[value])
  const test = writeCsv(inFolder('held.csv'), 'tabular-iris', 'test', value => SPECIES[value])
  const [auto, calibrated] = [inFolder('auto.posterior'), inFolder('calibrated.posterior')]
  const fit = ['fit', model('tabular-iris'), '--data', train, '--likelihood', 'classification', '--out', auto]
  const said = await run(...fit)
  t.match(said.out, /What was chosen, and why[^]*All weights by their linear model[^]*Leave-one-out NLL +0\.\d+/)
  t.ok(said.out.replace(auto, '').split('\n').every(line => line.length <= 100), said.out)
  t.match(JSON.parse((await run(...fit, '--json')).out), { structure: 'lowrank', choice: { subset: 'all', r: Number } })

  const evaluated = JSON.parse(
    (await run('evaluate', auto, '--data', test, '--outliers',
      writeCsv(inFolder('others.csv'), 'tabular-iris', 'test', undefined), '--json')).out,
  )
  const predicted = JSON.parse((await run('predict', auto, '--data', test, '--target', 'answer', '--json')).out)
  t.equal(evaluated.posterior.nll, predicted.metrics.nll, 'evaluate scores what predict answers')
  t.ok(evaluated.outliers.every(({ auroc }: { auroc: number }) => auroc === 0.5), 'the same rows are told by chance')
  const page = inFolder('report.html')
  t.match((await run('report', auto, '--data', test, '--out', page, '--title', 'Irises')).out, /^Wrote .*report\.html/)
  t.match(readFileSync(page, 'utf8'), /<h1>Irises<\/h1>[^]*<svg[^]*The least certain rows/)
  t.match((await run('evaluate', auto, '--data', test)).out, /network +temperature scaling +posterior\n[^]*NLL +0/)

  t.equal((await run('conformalize', auto, '--data', test, '--out', calibrated)).code, 0)
  const { sets, level, interval } = JSON.parse(
    (await run('predict', calibrated, '--data', test, '--target', 'answer', '--level', '0.9', '--json')).out,
  )
  const truth = referenceCase('tabular-iris').yTest.data
  const covered = sets.filter((set: number[], row: number) => set[truth[row]] === 1).length
  t.ok(covered >= 0.9 * sets.length, `${covered} of ${sets.length} of the calibration rows are covered`)
  t.match({ level, interval }, { level: 0.9, interval: 'conformal' })
  t.match((await run('predict', calibrated, '--data', test, '--target', 'answer', '--level', '0.9')).out, /\{\w+/)
  t.match((await run('conformalize', auto, '--out', calibrated)).out, /each predicted without itself \(approximate\)/)

  const [exported, card] = [inFolder('model.onnx'), inFolder('model.md')]
  t.match(await run('export', calibrated, '--out', exported, '--card', '--data', test), { code: 0,
    out: /Outputs +mean, variance, probabilities, sets, novelty[^]*model\.calibration\.svg/ })
  t.match(readFileSync(card, 'utf8'), /\| network \| temperature scaling \| posterior \|/)
  t.same(readOnnx(readFileSync(exported)).outputs, ['mean', 'variance', 'probabilities', 'sets', 'novelty'])
  t.match(await run('export', auto, '--out', exported, '--outputs', 'sets'), { code: 2, remarks: /conformalize/ })
  t.match(await run('export', auto, '--out', exported, '--data', test), { code: 2, remarks: /--card/ })

  const half = JSON.parse((await run(...fit, '--validation', test, '--calibrate', 'temperature', '--json')).out)
  t.match(half, { tuned: 'validated', choice: { networkWeight: 1, heldOut: { rows: 38 } } })
  t.match(JSON.parse((await run(...fit, '--validation', '0.2', '--json')).out), { tuned: 'validated', examples: 90 })
  t.match(await run(...fit, '--validation', '1.5'), { code: 2, remarks: /between 0\s+and\s+1/ })
})

t.test('update adds rows and takes them away; influence leaves each out', async t => {
  const { x, y } = referenceCase('regression-1d')
  const rows = Array.from({ length: 20 }, (_, n) => `${Number(x.data[n])},${Number(y.data[n])}`)
  const file = (name: string, part: readonly string[]): string => {
    writeFileSync(inFolder(name), ['x,y', ...part, ''].join('\n'))
    return inFolder(name)
  }
  const [first, more, all] = [file('first.csv', rows.slice(0, 12)), file('more.csv', rows.slice(12)),
    file('all.csv', rows)]
  const fit = async (data: string, out: string): Promise<Record<string, unknown>> =>
    JSON.parse(
      (await run('fit', model('regression-1d'), '--data', data, '--target', 'y', '--likelihood', 'regression',
        '--subset', 'all', '--structure', 'blockdiag', '--blocks', 'tensor', '--prior-precision', '2', '--sigma-noise',
        '0.5', '--out', out, '--json')).out,
    )
  const [small, whole] = [inFolder('small.posterior'), inFolder('whole.posterior')]
  const [before, wanted] = [await fit(first, small), await fit(all, whole)]
  const updated = inFolder('updated.posterior')
  const added = JSON.parse((await run('update', small, '--data', more, '--out', updated, '--json')).out)
  t.equal(added.examples, 20)
  t.ok(Math.abs(added.logMarginalLikelihood - Number(wanted['logMarginalLikelihood'])) < 1e-8)
  const said = await run('update', updated, '--forget', more, '--out', updated)
  t.match(said, { code: 0, out: /20 before, 12 now/ })
  const left = JSON.parse(
    (await run('update', small, '--data', more, '--forget', more, '--out', updated, '--json')).out,
  )
  t.ok(Math.abs(left.logMarginalLikelihood - Number(before['logMarginalLikelihood'])) < 1e-8)
  t.match(await run('update', small, '--out', updated), { code: 2, remarks: /--forget/ })
  t.match(await run('update', small, '--forget', first, '--out', updated), { code: 1, remarks: /nothing is left/ })

  const { mean, loss, change } = JSON.parse(
    (await run('influence', whole, '--data', all, '--at', first, '--target', 'y', '--json')).out,
  )
  t.strictSame([mean.length, loss.length, change.length, change[0][0].length], [20, 20, 12, 20])
  t.ok(Math.abs(loss[3] - (mean[3][0] - Number(y.data[3])) ** 2 / 2) < 1e-9)
  t.match((await run('influence', whole, '--data', all, '--at', first, '--target', 'y')).out,
    /row +left-out loss[^]*largest change/)
})

t.test('several posteriors predict as one', async t => {
  const train = writeCsv(inFolder('mixed.csv'), 'regression-1d', 'train', String)
  const files = [0.5, 50].map(delta => [inFolder(`mixed-${delta}.posterior`), String(delta)])
  for (const [file, delta] of files) {
    await run('fit', model('regression-1d'), '--data', train, '--likelihood', 'regression', '--subset', 'all',
      '--structure', 'full', '--prior-precision', delta, '--sigma-noise', delta, '--out', file)
  }
  const answer = async (...args: string[]) => JSON.parse((await run('predict', ...args, '--data', train, '--json')).out)
  const [[first], [second]] = files
  const [a, b] = [await answer(first, '--target', 'answer'), await answer(second, '--target', 'answer')]
  const both = await answer(first, '--with', second, '--shares', '3,1', '--target', 'answer')
  const row = (of: { standardDeviation: number[][] }) => of.standardDeviation[4][0] ** 2
  t.ok(Math.abs(row(both) - (0.75 * row(a) + 0.25 * row(b))) < 1e-12 * row(both))
  const { x, y } = referenceCase('regression-1d')
  const members = await Promise.all(files.map(([file]) => loadPosterior(readFileSync(file))))
  const { posterior } = await new Mixture(members, [3, 1]).compare(x, y)
  t.ok(Math.abs(both.metrics.nll - posterior.nll) < 1e-9)
  t.match(await run('predict', first, '--data', train, '--shares', '1'), { code: 2, remarks: /--with/ })
  const { lower, upper } = await answer(first, '--with', second, '--level', '0.9', '--target', 'answer') as Record<
    string,
    number[][]
  >
  t.ok(lower.every(([low], n) => low < upper[n][0]), 'an interval of the mixture')
})

t.test('intervals, quantiles and novelty are columns', async t => {
  const train = writeCsv(inFolder('line.csv'), 'regression-1d', 'train', String)
  const [posterior, file] = [inFolder('auto-line.posterior'), inFolder('columns.csv')]
  const fit = await run('fit', model('regression-1d'), '--data', train, '--likelihood', 'regression', '--out',
    posterior)
  t.match(fit.out, /Noise +standard deviation 0\.\d+/)
  const test = writeCsv(inFolder('line-test.csv'), 'regression-1d', 'test', undefined)
  const asked = ['predict', posterior, '--data', test, '--level', '0.8', '--quantiles', '0.1,0.5,0.9']
  t.equal((await run(...asked, '--out', file)).code, 0)
  const [names, ...rows] = readFileSync(file, 'utf8').trim().split('\n').map(line => line.split(','))
  t.same(names, ['mean', 'sd', 'predictive_sd', 'lower', 'upper', 'quantile_0.1', 'quantile_0.5', 'quantile_0.9',
    'novelty', 'novelty_score'])
  // 0.8 of a Gaussian lies within 1.2815515655446004 standard deviations.
  for (const [mean, , sd, lower, upper, low, middle, high, p] of rows.slice(0, 5).map(row => row.map(Number))) {
    const ends = [mean - 1.2815515655446004 * sd, mean + 1.2815515655446004 * sd]
    t.ok(relativeDifference([lower, upper, low, high, middle], [...ends, ...ends, mean]) < 1e-9)
    t.ok(p > 0 && p <= 1)
  }
  const evaluated = await run('evaluate', posterior, '--data', train)
  t.match(evaluated.out, /CRPS +0\.\d+[^]*90 % intervals cover +\d+[^]*PIT/, evaluated.remarks)
  t.match(await run(...asked.slice(0, 4), '--quantiles', '0.1,x'), { code: 2, remarks: /--quantiles must be a number/ })
})

t.test('help, version, selftest', async t => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  t.equal((await run('--version')).out, `${version}\n`)
  const help = await run('--help')
  t.match(help.out, 'polylaplace serve')
  t.same(help.out.split('\n').filter(line => line.length > 80), [])
  for (const command of ['demo', 'inspect', 'fit', 'predict', 'evaluate', 'report', 'conformalize', 'update',
    'influence', 'export', 'convert', 'completion', 'selftest']) {
    t.match(help.out, `polylaplace ${command}`)
    t.match(await run(command, '--help'), { code: 0, out: `Usage: polylaplace ${command}` })
    t.match((await run(command, '--help')).out, `Example\n    polylaplace ${command}`)
    t.same((await run(command, '--help')).out.split('\n').filter(line => line.length > 80), [], `${command} fits 80`)
  }
  t.match(await run('selftest'), { code: 0, out: /All is well/ })
})

t.test('wrong use has exit code 2, work that fails has 1, and neither shows a stack', async t => {
  const cases: [argv: string[], code: number, message: RegExp][] = [
    [[], 2, /needs a command/],
    [['fitt'], 2, /Did you mean 'fit'\?/],
    [['inspect'], 2, /inspect needs MODEL/],
    [['inspect', 'a', 'b'], 2, /unexpected argument 'b'/],
    [['fit', model('digits'), '--dta', 'x'], 2, /no option --dta\. Did you mean --data\?/],
    [['fit', model('digits')], 2, /fit needs --likelihood NAME/],
    [['fit', model('digits'), '--likelihood', 'clasification', '--data', 'x', '--out', 'y'], 2,
      /Did you mean 'classification'\?/],
    [['fit', model('digits'), '--likelihood', 'classification', '--data', 'x', '--out', 'y', '--seed', 'one'], 2,
      /--seed must be a number; got 'one'/],
    [['inspect', 'absent.onnx'], 1, /Cannot read absent\.onnx: there is no such file/],
    [['inspect', folder], 1, /it is a folder/],
    [['inspect', model('digits', 'expected.json')], 1, /UntrustedInputError/],
    [['predict', model('digits'), '--data', 'x'], 1, /posterior/],
    [['fit', model('digits'), '--likelihood', 'classification', '--data', model('digits', 'data.npz'), '--out',
      '/nowhere/x'], 1, /Cannot write \/nowhere\/x/],
  ]
  for (const [argv, code, message] of cases) {
    const outcome = await run(...argv)
    t.equal(outcome.code, code, argv.join(' '))
    t.match(outcome.remarks.replace(/\s+/g, ' '), message)
    t.notMatch(outcome.remarks, /\n +at /)
  }
})
