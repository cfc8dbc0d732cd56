import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { csvTable, readCsv } from '../../../cli/data/csv.js'
import { readExamples } from '../../../cli/data/data-file.js'
import { readNpy, writeNpy } from '../../../cli/data/npy.js'
import { type TargetClues, targetColumns } from '../../../cli/data/target-choice.js'
import { targetsOf } from '../../../cli/data/targets.js'
import type { Likelihood } from '../../../core/options/words.js'
import { float64, type Tensor, tensor } from '../../../core/tensor/tensor.js'

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

t.test('a first row of numbers and texts that stand again below is no header', async t => {
  const rows = '5.1,3.5,setosa\n4.9,3,virginica\n6,3,setosa\n7,3,virginica\n'
  t.same(readCsv(rows, 'last').targets, [{ name: 'x3', cells: ['setosa', 'virginica', 'setosa', 'virginica'] }])
  t.same(readCsv(`0,1,kind\n${rows}`, 'kind').columns, ['0', '1'], 'pandas counts columns')
  t.same(readCsv('a,b\na,b\n', 'a,b').targets.map(({ name }) => name), ['a', 'b'], 'texts alone are names')
})

t.test('what may be a header or a row is asked for, and can be said', async t => {
  const names = (text: string, header?: boolean) => csvTable(text, header).columns.map(({ name }) => name)
  const row = ['x1', 'x2', 'x3']
  t.same(names('5.1,3.5,setosa\n4.9,3,virginica\n6,3,virginica\n'), row, 'numbers in no order, a class that is alone')
  t.same(names('5.1,3.5,id1\n4.9,3,id2\n'), row)
  t.same(names('NA,3.5,2\n4.9,3,1\n'), row, 'a value is missing')
  t.same(names('label,1x1,1x2\n0,1,2\n1,2,3\n'), ['label', '1x1', '1x2'])
  t.same(names('kind,400.5,402,404\nu,1,3,2\nv,5,3,4\n'), ['kind', '400.5', '402', '404'], 'wavelengths')
  t.same(names('kind,4000,3990,3980\nu,1,3,2\nv,5,3,4\n'), ['kind', '4000', '3990', '3980'])
  t.same(names(',0,1\n0,1.5,3\n1,5,3\n'), ['', '0', '1'], 'the labels of rows have no name')
  t.same(names('year,2019\n1,2\n3,4\n'), ['year', '2019'])
  t.same(names('5.1,3.5,setosa\n'), row, 'one row')
  const unclear = ['1,2,bob\n2,3,ann\n', '5,bob\n4,ann\n', '0,1,2\n5,3,4\n', 'age,10,5,20\n1,2,3,4\n',
    '1,2,3,u\n2,3,4,v\n']
  for (const text of unclear) {
    t.throws(() => csvTable(text), { code: 'BAD_DATA_FILE',
      message: /may be the names .* --header yes or --header no/ }, text)
    t.equal(csvTable(text, true).rows + 1, csvTable(text, false).rows)
  }
  t.same(names('1,2\n3,4\n', true), ['1', '2'])
  const found = await readExamples(file('unclear.csv', '0,1,2\n5,3,4\n'), { ...selection, answered: false,
    header: false })
  t.same((found.x as Tensor).shape, [2, 3])
})

t.test('columns of one name, and letters of another encoding, are refused', async t => {
  const text = 'a,b,kind\n1,2,u\n3,4,v\n'
  const twice = /Two columns or more are called 'a', and columns are matched by name: rename them/
  t.throws(() => readCsv(text.replace('b', 'a'), 'kind'), { code: 'BAD_DATA_FILE', message: twice })
  await t.rejects(readExamples(file('twice.csv', text.replace('b', 'a')), selection), { message: twice })
  const [expected] = [await readExamples(file('utf8.csv', text), selection)]
  for (const [name, bytes] of [['le', Buffer.from(`\ufeff${text}`, 'utf16le')], ['be',
    Buffer.from(`\ufeff${text}`, 'utf16le').swap16()]] as const) {
    t.same(await readExamples(file(`utf16${name}.csv`, bytes), selection), expected)
  }
  await t.rejects(readExamples(file('latin.csv', Buffer.from(text.replace('u', '\u00fc'), 'latin1')), selection), {
    code: 'BAD_DATA_FILE',
    message: /latin.csv: The text is not UTF-8.*save it as UTF-8/,
  })
})

t.test('columns that are more or fewer than the network takes are listed', async t => {
  const inputs = [{ name: 'x', columns: undefined, shape: [-1, 3] }]
  await t.rejects(readExamples(file('wide.csv', 'a,b,kind\n1,2,u\n3,4,v\n'), { ...selection, inputs }), {
    code: 'BAD_DATA_FILE',
    message: /takes 3 numbers an example, and the file has 2 columns .*\(kind\): a, b\./,
  })
})

t.test('the column of the answers is the one that is clear, or is asked for', async t => {
  const number = (name: string) => ({ name, columns: undefined, shape: [-1, 1] })
  const choose = (text: string, likelihood: Likelihood, inputs: TargetClues['inputs'] = [number('x')]) => {
    const table = csvTable(text)
    return targetColumns(table, undefined, { likelihood, inputs, others: ['w'] }).map(at => table.columns[at].name)
  }
  t.same(choose('Y,a,b\n1,2,3\n', 'regression'), ['Y'], 'a usual name')
  t.same(choose('a,kind,b\n1,u,3\n', 'classification'), ['kind'], 'the only text')
  t.same(choose('1.5,2,3.5\n0.5,0,1\n', 'classification'), ['x2'], 'the only whole numbers')
  t.same(choose('w,price,a,b\n1,2,3,4\n', 'regression', [{ ...number('x'), columns: ['b', 'a'] }]), ['price'],
    'what the network does not take')
  t.same(choose('b,a,price\n1,2,3\n', 'regression', [number('a'), number('b')]), ['price'])
  t.same(choose('b_1,a,b_0,price\n1,2,3,4\n', 'regression', [number('a'), { ...number('b'), shape: [-1, 2] }]), [
    'price',
  ])
  for (const [text, likelihood] of [['a,b,c\n1,2,3\n', 'regression'], ['a,b,c\n1,2,3\n', 'classification'], [
    'y,label,a\n0,1,3\n',
    'binary',
  ], ['u,v,a\nr,s,3\n', 'classification'], ['1,2\n3,4\n', 'regression'], [
    'kind,price\nu,1\n',
    'regression',
  ]] as const) {
    t.throws(() => choose(text, likelihood), { name: 'UsageError',
      message: /not clear which column .* the columns are .*--target/ }, text)
  }
})

t.test('Parquet and Arrow, in every compression, hold what pyarrow wrote', async t => {
  const tables = new URL('../../fixtures/tables/', import.meta.url)
  const read = (name: string) =>
    readExamples(fileURLToPath(new URL(name, tables)), { ...selection, target: name.startsWith('l') ? 'last' : 'kind' })
  const rows = 40
  const expected = Array.from({ length: rows }, (_, i) => [i / 8, i / 10, i, i % 3 === 0 ? 1 : 0, i % 5]).flat()
  const files = readdirSync(tables).filter(name => !/^(missing|lists|dates)/.test(name))
  t.equal(files.length, 10)
  for (const name of files) {
    const { x, y, labels } = await read(name)
    t.same(x, [{ values: float64([rows, 5], expected), columns: ['single', 'double', 'whole', 'flag', 'small'] }], name)
    t.same([Array.from(y?.data ?? []), labels], [Array.from({ length: rows }, (_, i) => i % 3), ['a', 'b', 'c']], name)
  }
  for (const name of ['missing.parquet', 'missing.arrow']) {
    await t.rejects(read(name), { code: 'BAD_DATA_FILE', message: /Column 'a', row 2: .*found a missing value/ })
  }
  for (const name of ['dates.parquet', 'dates.arrow']) {
    await t.rejects(read(name), { code: 'BAD_DATA_FILE', message: /Column 'day', row 1: .*found a date/ })
  }
  await t.rejects(read('lists.parquet'), { code: 'BAD_DATA_FILE', message: /found a list/ })
  for (const name of ['snappy.parquet', 'lz4.arrow', 'stream.arrow']) {
    const bytes = readFileSync(new URL(name, tables))
    for (const end of [12, 100, bytes.length - 40]) {
      const cut = file(`cut-${name}`, bytes.subarray(0, end))
      await t.rejects(readExamples(cut, { ...selection, target: 'kind' }), { name: 'DataError' }, `${name} to ${end}`)
    }
  }
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
  t.same(await readExamples(both, { ...selection, target: 'last' }), { x: float64([2, 2], [1, 2, 3, 4]),
    y: float64([2], [0, 1]), target: 'column 3' })
  await t.rejects(readExamples(both, selection), { name: 'UsageError', message: /--target last/ })
  const clear = file('clear.npy', writeNpy(float64([2, 3], [1, 0.5, 2, 0, 4.5, 1.5])))
  t.match(await readExamples(clear, selection), { y: float64([2], [1, 0]), target: 'column 1' })
  t.match((await readExamples(both, { ...selection, answered: false })).x, { shape: [2, 3] })
  const answers = file('answers.npy', writeNpy(float64([2], [1, 0])))
  t.same((await readExamples(both, { ...selection, target: answers })).y, float64([2], [1, 0]))
  await t.rejects(readExamples(answers, selection), { code: 'BAD_DATA_FILE' })
})

t.test('a file of another kind is refused by name', async t => {
  await t.rejects(readExamples(file('picture.png', Uint8Array.of(0x89, 0x50, 0, 0, 1)), selection), {
    code: 'BAD_DATA_FILE',
    message: /picture\.png: This is none of CSV, Parquet, Arrow/,
  })
  await t.rejects(readExamples(file('empty.csv', ''), selection), { code: 'EMPTY_DATA',
    message: /empty\.csv: The file is empty/ })
  await t.rejects(readExamples(file('one.csv', 'y\n1\n'), selection), { code: 'BAD_DATA_FILE' })
})

t.test('columns keep their names; without a header they have none', async t => {
  const named = file('named.csv', 'a,kind,b\n1,0,2\n3,1,4\n')
  t.same(await readExamples(named, { ...selection, target: 'kind' }), { target: 'kind',
    x: [{ values: float64([2, 2], [1, 2, 3, 4]), columns: ['a', 'b'] }], y: tensor('int64', [2], [0, 1]) })
  t.match(await readExamples(file('bare.csv', '1,2,0\n3,4,1\n'), { ...selection, target: 'last' }), { target: 'x3',
    x: { shape: [2, 2] } })
})

t.test('weights of rows are a column, an array or a file, and no input', async t => {
  const csv = await readExamples(file('weighted.csv', 'a,w,b,y\n1,2,3,0\n4,0.5,6,1\n'), { ...selection, weights: 'w' })
  t.match(csv, { x: [{ columns: ['a', 'b'], values: { shape: [2, 2], data: Float64Array.of(1, 3, 4, 6) } }],
    weights: { data: Float64Array.of(2, 0.5) } })
  await t.rejects(readExamples(file('weighted.csv', 'a,w,b,y\n1,2,3,0\n'), { ...selection, weights: 'v' }), {
    code: 'BAD_DATA_FILE',
    message: /Did you mean/,
  })
  const rows = file('rows.npy', writeNpy(float64([2, 2], [1.5, 0, 2, 1])))
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
