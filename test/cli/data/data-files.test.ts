import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { readCsv } from '../../../cli/data/csv.js'
import { readExamples } from '../../../cli/data/data-file.js'
import { readNpy, writeNpy } from '../../../cli/data/npy.js'
import { targetsOf } from '../../../cli/data/targets.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'

const folder = t.testdir({})
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const selection = { likelihood: 'classification', target: undefined, arrays: undefined, inputs: [],
  answered: true } as const

t.test('CSV: header, quotes, byte order mark, targets by name', async t => {
  const table = readCsv('\ufeff"a, b",c,kind\r\n1,2.5,"x"\r\n-3e2,4,y\r\n', 'kind')
  t.same([table.columns, Array.from(table.values), table.targets], [['a, b', 'c'], [1, 2.5, -300, 4], [{ name: 'kind',
    cells: ['x', 'y'] }]])
  t.same(readCsv('1,2\n3,4\n', 'last'), { rows: 2, columns: ['x1'], header: false, values: Float64Array.of(1, 3),
    targets: [{ name: 'x2', cells: ['2', '4'] }] })
  t.same(readCsv('a,b,c\n1,2,3\n', 'a,c').targets.map(target => target.name), ['a', 'c'])
  t.throws(() => readCsv('a,kind\n1,2\n', 'kin'), { code: 'BAD_DATA_FILE', message: /Did you mean 'kind'\?/ })
  t.throws(() => readCsv('a,b\n1,\n', undefined), { code: 'BAD_DATA_FILE',
    message: /Column 'b', line 2: expected a number and found an empty cell/ })
  t.throws(() => readCsv('a,b\n1,2,3\n', undefined), { code: 'BAD_DATA_FILE' })
  t.throws(() => readCsv('a,b\n', undefined), { code: 'EMPTY_DATA' })
  t.throws(() => readCsv('', undefined), { code: 'EMPTY_DATA' })
})

t.test('targets: text in sorted order, numbers as they are', async t => {
  const column = (...cells: string[]) => [{ name: 'y', cells }]
  t.match(targetsOf(column('b', 'a', 'c', 'a'), 'classification'), { y: { data: Float64Array.of(1, 0, 2, 0) },
    labels: ['a', 'b', 'c'] })
  t.match(targetsOf(column('yes', 'no'), 'binary'), { y: { data: Float64Array.of(1, 0) }, labels: ['no', 'yes'] })
  t.same(targetsOf(column('2', '0'), 'classification').labels, undefined)
  t.match(targetsOf(column('b'), 'classification', ['a', 'b']), { y: { data: Float64Array.of(1) } })
  t.same(targetsOf([...column('1', '2'), { name: 'z', cells: ['3', '4'] }], 'regression').y,
    float64([2, 2], [1, 3, 2, 4]))
  t.throws(() => targetsOf(column('d'), 'classification', ['a', 'b']), { code: 'BAD_LABELS',
    message: /'d' is none of a, b/ })
  t.throws(() => targetsOf(column('a'), 'classification', 'none'), { code: 'BAD_LABELS' })
  t.throws(() => targetsOf(column('a', ''), 'classification'), { code: 'BAD_LABELS',
    message: /row 2: the label is missing/ })
  t.throws(() => targetsOf(column('a', '1'), 'regression'), { code: 'BAD_LABELS' })
  t.throws(() => targetsOf(column('a', 'b', 'c'), 'binary'), { code: 'BAD_LABELS',
    message: /needs 0 and 1, or two distinct texts/ })
})

t.test('npy: both orders, both byte orders, back and forth', async t => {
  const value = float64([2, 3], [1, 2, 3, 4, 5, 6])
  t.same(readNpy(writeNpy(value)), value)
  const npy = (descr: string, order: string, shape: string, body: Uint8Array): Uint8Array => {
    const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`
    return Uint8Array.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0, ...Buffer.from(header), ...body])
  }
  t.same(readNpy(npy('<i2', 'True', '(2, 3)', Uint8Array.of(1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6, 0))).data,
    Float64Array.of(1, 2, 3, 4, 5, 6))
  t.same(readNpy(npy('>i4', 'False', '(1,)', Uint8Array.of(0xff, 0xff, 0xff, 0xfe))).data, Float64Array.of(-2))
  for (const [name, bytes] of Object.entries({
    'more elements than bytes': npy('<f8', 'False', '(1000000,)', new Uint8Array(8)),
    'an object array': npy('|O', 'False', '(1,)', new Uint8Array(8)),
    'a complex array': npy('<c16', 'False', '(1,)', new Uint8Array(16)),
    'a cut header': writeNpy(value).subarray(0, 20),
    'a header longer than the file': Uint8Array.from([0x93, ...Buffer.from('NUMPY'), 2, 0, 255, 255, 255, 127, 0]),
  })) t.throws(() => readNpy(bytes), { code: 'UNTRUSTED_INPUT' }, name)
})

t.test('examples in one array, or in two files', async t => {
  const both = file('both.npy', writeNpy(float64([2, 3], [1, 2, 0, 3, 4, 1])))
  t.same(await readExamples(both, selection), { x: float64([2, 2], [1, 2, 3, 4]), y: float64([2], [0, 1]) })
  t.match((await readExamples(both, { ...selection, answered: false })).x, { shape: [2, 3] })
  const answers = file('answers.npy', writeNpy(float64([2], [1, 0])))
  t.same((await readExamples(both, { ...selection, target: answers })).y, float64([2], [1, 0]))
  await t.rejects(readExamples(answers, selection), { code: 'BAD_DATA_FILE' })
})

t.test('a file of another kind is refused by name', async t => {
  await t.rejects(readExamples(file('picture.png', Uint8Array.of(0x89, 0x50, 0, 0, 1)), selection), {
    code: 'BAD_DATA_FILE',
    message: /picture\.png: This is neither CSV text/,
  })
  await t.rejects(readExamples(file('empty.csv', ''), selection), { code: 'EMPTY_DATA',
    message: /empty\.csv: The file is empty/ })
  await t.rejects(readExamples(file('one.csv', 'y\n1\n'), selection), { code: 'BAD_DATA_FILE' })
})

t.test('columns keep their names; without a header they have none', async t => {
  const named = file('named.csv', 'a,kind,b\n1,0,2\n3,1,4\n')
  t.same(await readExamples(named, { ...selection, target: 'kind' }), { target: 'kind',
    x: [{ values: float64([2, 2], [1, 2, 3, 4]), columns: ['a', 'b'] }], y: tensor('int64', [2], [0, 1]) })
  t.match(await readExamples(file('bare.csv', '1,2,0\n3,4,1\n'), selection), { target: 'x3', x: { shape: [2, 2] } })
})

t.test('weights of rows are a column, an array or a file, and no input', async t => {
  const csv = await readExamples(file('weighted.csv', 'a,w,b,y\n1,2,3,0\n4,0.5,6,1\n'), { ...selection, weights: 'w' })
  t.match(csv, { x: [{ columns: ['a', 'b'], values: { shape: [2, 2], data: Float64Array.of(1, 3, 4, 6) } }],
    weights: { data: Float64Array.of(2, 0.5) } })
  await t.rejects(readExamples(file('weighted.csv', 'a,w,b,y\n1,2,3,0\n'), { ...selection, weights: 'v' }), {
    code: 'BAD_DATA_FILE',
    message: /Did you mean/,
  })
  const rows = file('rows.npy', writeNpy(float64([2, 2], [1, 0, 2, 1])))
  const npy = await readExamples(rows, { ...selection, weights: file('weights.npy', writeNpy(float64([2], [3, 4]))) })
  t.match(npy, { x: { shape: [2, 1] }, weights: { data: Float64Array.of(3, 4) } })
})

t.test('delimiters, decimal commas and gzip are found', async t => {
  const plain = readCsv('a,b,kind\n1.5,-2,x\n3,4e1,y\n', 'kind')
  const written = {
    semicolons: 'a;b;kind\n1.5;-2;x\n3;4e1;y\n',
    'decimal commas': 'a;b;kind\r\n1,5;-2;x\r\n3;4e1;y\r\n',
    tabs: 'a\tb\tkind\n1,5\t-2\tx\n3\t4e1\ty\n',
    bars: 'a|b|kind\n1.5|-2|x\n3|4e1|y\n',
    blanks: ' a   b kind\n1.5  -2 x\n  3 4e1   y\n',
    'delimiters in quotes': '"a","b","kind"\n"1.5",-2,"x"\n3,4e1,"y"\n',
  }
  for (const [what, text] of Object.entries(written)) t.same(readCsv(text, 'kind'), plain, what)
  t.same(readCsv('"a;b",c\n1,2\n', undefined).columns, ['a;b', 'c'])
  t.throws(() => readCsv('a;b\n1,234;5\n', undefined), { code: 'BAD_DATA_FILE', message: /decimal or part thousands/ })
  t.throws(() => readCsv('a;b\n1,2;5.5\n', undefined), { code: 'BAD_DATA_FILE', message: /decimal or part thousands/ })
  t.throws(() => readCsv('a;b\n1.5;\n', undefined), { code: 'BAD_DATA_FILE',
    message: /Column 'b', line 2: .*empty cell/ })
  const rows = { ...selection, answered: false }
  t.match(await readExamples(file('rows.csv.gz', gzipSync('a;b\n1,5;2\n')), rows), { x: [{ columns: ['a', 'b'] }] })
  await t.rejects(readExamples(file('broken.gz', Uint8Array.of(0x1f, 0x8b, 8, 0, 1)), rows), { code: 'BAD_DATA_FILE',
    message: /gzip/ })
})
