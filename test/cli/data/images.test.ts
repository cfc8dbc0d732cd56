import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readExamples } from '../../../cli/data/data-file.js'
import { readImage } from '../../../cli/data/image.js'
import type { Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

const images = fileURLToPath(new URL('../../fixtures/images/', import.meta.url))
const expected: Record<string, { shape: number[], values: number[] }> = JSON.parse(
  readFileSync(join(images, 'expected.json'), 'utf8'),
)
const folder = t.testdir({})
const input = (...shape: number[]) => [{ name: 'x', columns: undefined, shape: [-1, ...shape] }]
const selection = { likelihood: 'classification', target: undefined, arrays: undefined, inputs: input(3, 6, 10),
  answered: true, pixels: { white: 255 } } as const

/** A folder with these images, by their places in it. */
function filled(name: string, files: Record<string, string>): string {
  for (const [place, image] of Object.entries(files)) {
    mkdirSync(join(folder, name, place, '..'), { recursive: true })
    cpSync(join(images, image), join(folder, name, place))
  }
  return join(folder, name)
}

t.test("every kind of PNG and JPEG has the numbers that Python's Pillow gives, to the bit", async t => {
  for (const [name, { shape, values }] of Object.entries(expected)) {
    const image = await readImage(readFileSync(join(images, name)))
    t.same([image.height, image.width, image.channels], [...shape, 1].slice(0, 3), name)
    t.ok(relativeDifference(Array.from(image.values, value => value / image.most * 255), values) < 1e-12, name)
  }
  await t.rejects(readImage(readFileSync(join(images, 'transparent.png'))), { message: /transparent.*Save it without/ })
  await t.rejects(readImage(readFileSync(join(images, 'cmyk.jpg'))), { message: /4 channels.*RGB/ })
  for (const name of ['colour.png', 'subsampled.jpg']) {
    await t.rejects(readImage(readFileSync(join(images, name)).subarray(0, 60)), { code: 'BAD_DATA_FILE' }, name)
  }
})

t.test('58 options of images are refused where a file holds numbers', async t => {
  const table = t.testdir({ 'table.csv': 'a,b,y\n1,2,0\n3,4,1\n' })
  const numbers = { ...selection, inputs: input(2) }
  for (const pixels of [{ white: 1 }, { mean: [0.5] }, { deviation: [2] }, { channels: 'first' }] as const) {
    await t.rejects(readExamples(join(table, 'table.csv'), { ...numbers, pixels }), { code: 'BAD_DATA_FILE',
      message: /--pixels/ })
  }
  await t.resolves(readExamples(join(table, 'table.csv'), { ...numbers, pixels: { white: undefined } }))
})

t.test('a folder a class, in the layout of the input, scaled and standardised', async t => {
  const path = filled('classes', { 'b/1.png': 'colour.png', 'b/2.jpg': 'subsampled.jpg', 'a/9.png': 'opaque.png' })
  const { x, y, labels, target } = await readExamples(path, selection)
  t.match({ y: Array.from(y?.data ?? []), labels, target }, { y: [0, 1, 1], labels: ['a', 'b'], target: 'folder' })
  const last = await readExamples(path, { ...selection, inputs: input(6, 10, 3),
    pixels: { white: 1, mean: [0.5, 0.25, 0], deviation: [2] } })
  const colour = expected['colour.png'].values
  const row = (value: Tensor, at: number): number[] => Array.from(value.data.subarray(at * 180, (at + 1) * 180))
  t.ok(relativeDifference(row(last.x as Tensor, 1), colour.map((value, i) => (value / 255 - [0.5, 0.25, 0][i % 3]) / 2))
    < 1e-15)
  t.same(row(x as Tensor, 1), colour.map((_, i) => colour[i % 60 * 3 + Math.floor(i / 60)]), 'channels first')
  t.same((x as Tensor).shape, [3, 3, 6, 10])
  await t.rejects(readExamples(path, { ...selection, inputs: input(180) }), { name: 'UsageError',
    message: /--channels first or --channels last/ })
  const flat = await readExamples(path, { ...selection, inputs: input(180), pixels: { white: 255, channels: 'first' } })
  t.same((flat.x as Tensor).data, (x as Tensor).data)
  await t.rejects(readExamples(path, { ...selection, pixels: {} }), { name: 'UsageError',
    message: /--pixels 0-1 or --pixels 0-255/ })
})

t.test('nothing is resized, converted or left out unsaid', async t => {
  const path = filled('others', { 'a/1.png': 'colour.png', 'b/1.png': 'grey.png' })
  await t.rejects(readExamples(path, selection), { code: 'BAD_DATA_FILE',
    message:
      /1\.png: The image has 6 rows, 10 columns and one channel \(grey\); the network takes 3 x 6 x 10\. Resize/ })
  await t.rejects(readExamples(path, { ...selection, inputs: input(3, 0, 0) }), { message: /b\/1\.png: / })
  await t.rejects(readExamples(path, { ...selection, inputs: input(3, 12, 12) }), { message: /3 x 12 x 12/ })
  writeFileSync(join(path, 'b', 'more.webp'), '')
  await t.rejects(readExamples(path, selection), { message: /'more\.webp' is no PNG or JPEG/ })
  await t.rejects(readExamples(filled('mixed', { 'a/1.png': 'grey.png', '1.png': 'grey.png' }), selection), {
    message: /beside folders/,
  })
  await t.rejects(readExamples(t.testdir({}), selection), { code: 'EMPTY_DATA' })
  const numbers = filled('numbers', { '1/1.png': 'colour.png', '2/1.png': 'colour.png' })
  await t.rejects(readExamples(numbers, selection), { code: 'BAD_LABELS', message: /--classes/ })
  t.match((await readExamples(numbers, { ...selection, labels: ['1', '2'] })).y?.data, Float64Array.of(0, 1))
})

t.test('images named in a table, with answers beside them; a single image', async t => {
  const path = filled('named', { 'p/1.png': 'grey.png', 'p/2.jpg': 'grey.jpg' })
  const grey = { ...selection, inputs: input(1, 6, 10) }
  writeFileSync(join(path, 'rows.csv'), 'image,kind\np/2.jpg,v\np/1.png,u\n')
  const { x, y } = await readExamples(join(path, 'rows.csv'), grey)
  t.match({ x: (x as Tensor).data, y: y?.data }, { y: Float64Array.of(1, 0),
    x: Float64Array.from([...expected['grey.jpg'].values, ...expected['grey.png'].values]) })
  writeFileSync(join(path, 'more.csv'), 'image,kind,age\np/2.jpg,v,1\np/1.png,u,2\n')
  await t.rejects(readExamples(join(path, 'more.csv'), grey), { message: /no input for: age/ })
  writeFileSync(join(path, 'absent.csv'), 'image,kind\nnone.jpg,v\np/1.png,u\n')
  await t.rejects(readExamples(join(path, 'absent.csv'), grey), { message: /Cannot read .*none\.jpg/ })
  t.match((await readExamples(join(path, 'p/1.png'), { ...grey, answered: false })).x, { shape: [1, 1, 6, 10] })
})
