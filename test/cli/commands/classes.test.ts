/** @file Which output is which class: as it is said, or as the file of the network says it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { onnxClasses } from '../../../adapters/onnx/index.js'
import { run } from '../../support/command-line.js'
import { model, SPECIES, writeCsv } from './case-rows.js'

const folder = t.testdir({})
const inFolder = (name: string): string => join(folder, name)

t.test('classes: as --classes or the file names them; sorted texts only where all outputs are there', async t => {
  const train = writeCsv(inFolder('classes.csv'), 'tabular-iris', 'train', value => SPECIES[value])
  const fit = ['fit', model('tabular-iris'), '--data', train, '--likelihood', 'classification', '--subset',
    'last_layer', '--tune', 'none', '--prior-precision', '1', '--out', inFolder('classes.posterior'), '--json']
  const loss = async (...more: string[]): Promise<number> => {
    const outcome = await run(...fit.slice(0, more.includes('--data') ? 2 : 4), ...fit.slice(4), ...more)
    t.equal(outcome.code, 0, outcome.remarks)
    return JSON.parse(outcome.out).loss
  }
  const sorted = await loss()
  t.match((await run(...fit)).remarks.replace(/\s+/g, ' '), /numbered in sorted order: neither .* nor --classes/)
  t.notMatch((await run(...fit, '--classes', SPECIES.join())).remarks, /sorted/)
  t.ok(await loss('--classes', 'virginica,setosa,versicolor') > 5 * sorted)
  writeFileSync(inFolder('species.txt'), `${SPECIES.join('\n')}\n`)
  t.equal(await loss('--classes', inFolder('species.txt')), sorted)
  const two = writeCsv(inFolder('two.csv'), 'tabular-iris', 'train', value => SPECIES[value % 2])
  const names = ['red', 'blue', 'green']
  const unsorted = writeCsv(inFolder('unsorted.csv'), 'tabular-iris', 'train', value => names[value])
  t.equal(await loss('--data', unsorted, '--classes', names.join()), sorted)
  for (const [argv, code, message] of [
    [['--data', unsorted], 1, /in sorted order \(blue, green, red\) rows and network contradict each other.*--classes/],
    [['--data', two], 1, /network has 3 classes, and the data hold 2 names.*--classes/],
    [['--classes', 'a,b,b'], 2, /'b' stands twice/],
    [['--classes', 'setosa,versicolor'], 1, /'virginica' is none of/],
    [['--classes', 'setosa,versicolor,virginica,more'], 1, /3 classes, and there are 4 names/],
    [['--likelihood', 'regression', '--classes', 'a,b'], 2, /has no classes/],
  ] as const) {
    const others = fit.filter((word, i) => !argv.includes(word as never) && !argv.includes(fit[i - 1] as never))
    const outcome = await run(...others, ...argv)
    t.match({ ...outcome, remarks: outcome.remarks.replace(/\s+/g, ' ') }, { code, remarks: message })
  }
  writeFileSync(inFolder('unclear.csv'), 'a,b,c,d,e\n1,2,3,4,0\n')
  const unclear = fit.map(word => word === train ? inFolder('unclear.csv') : word)
  t.match(await run(...unclear), { code: 2,
    remarks: /which column holds the answers.*columns are\s+a, b, c, d, e.*--target/s })
})

t.test("the classes of a scikit-learn pipeline are the file's own", async t => {
  const own = onnxClasses(
    readFileSync(fileURLToPath(new URL('../../fixtures/onnx/sklearn-text-labels.onnx', import.meta.url))),
  )
  t.same(own, SPECIES)
})
