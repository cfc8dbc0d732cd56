/** @file Images as examples: a folder with one folder a class, a folder of images, or names of files in a table. */
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DataError } from '../../core/errors/errors.js'
import { float64, type Tensor } from '../../core/tensor/tensor.js'
import { UsageError } from '../arguments/arguments.js'
import { readBytes, withFileName } from '../files/files.js'
import { type Image, IMAGE_NAME, readImage } from './image.js'
import { listed, type Table, type TargetColumn } from './table.js'

/** How the numbers of images become those of a network's input. */
export interface PixelOptions {
  /** What white is: 1 or 255. */
  readonly white?: number | undefined
  /** Subtracted from a channel, after that; one number, or one a channel. */
  readonly mean?: readonly number[] | undefined
  /** What it is divided by then. */
  readonly deviation?: readonly number[] | undefined
  /** Whether flat inputs have channels first or last. */
  readonly channels?: Channels | undefined
}

/** Where the channels of flat images are. */
export const CHANNELS = ['first', 'last'] as const
export type Channels = (typeof CHANNELS)[number]

/** Images, and what they are. */
export interface ImageFiles {
  readonly paths: readonly string[]
  readonly targets: readonly TargetColumn[]
}

/** The name of the answers that are names of folders. */
export const FOLDER = 'folder'

/** The images of a folder, in the order of their names; those of folders in it are of the class of that name. */
export async function imagesIn(folder: string): Promise<ImageFiles> {
  const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'))
  const names = (kind: 'isDirectory' | 'isFile'): string[] =>
    entries.filter(entry => entry[kind]()).map(({ name }) => name).sort()
  const classes = names('isDirectory')
  const single = imageNames(names('isFile'))
  if (classes.length > 0 && single.length > 0) {
    throw new DataError('BAD_DATA_FILE',
      `The folder holds images (${single[0]}) beside folders (${classes[0]}): it is not clear what they are.`)
  }
  if (classes.length === 0) return some({ paths: single.map(name => join(folder, name)), targets: [] })
  const lists = await Promise.all(
    classes.map(async name =>
      imageNames((await readdir(join(folder, name))).sort()).map(file => join(folder, name, file))
    ),
  )
  const empty = classes.find((_, i) => lists[i].length === 0)
  if (empty !== undefined) throw new DataError('EMPTY_DATA', `The folder '${empty}' holds no PNG or JPEG images.`)
  const cells = lists.flatMap((list, i) => list.map(() => classes[i]))
  return some({ paths: lists.flat(), targets: [{ name: FOLDER, cells }] })
}

/** Images that others would read, and this program does not. */
const OTHER_IMAGES = /\.(gif|bmp|webp|tiff?|ppm|pgm|avif|heic)$/i

/** The names of PNG and JPEG files. @throws DataError for images of other kinds, which would be left out unsaid */
function imageNames(names: readonly string[]): string[] {
  const other = names.find(name => OTHER_IMAGES.test(name))
  if (other !== undefined) {
    throw new DataError('BAD_DATA_FILE', `'${other}' is no PNG or JPEG image; convert it to one of them.`)
  }
  return names.filter(name => IMAGE_NAME.test(name) && !name.startsWith('.'))
}

function some(files: ImageFiles): ImageFiles {
  if (files.paths.length > 0) return files
  throw new DataError('EMPTY_DATA', 'The folder holds no PNG or JPEG images.')
}

/** The place of the column of a table that names images; undefined where there is none. */
export function imageColumn({ columns }: Table): number | undefined {
  const at = columns.findIndex(({ cells }) =>
    cells.length > 0 && Array.from(cells).every(cell => typeof cell === 'string' && IMAGE_NAME.test(cell))
  )
  return at < 0 ? undefined : at
}

/** The images that a table names, relative to the folder of its file. @throws DataError for columns of no use */
export function imagesOf(table: Table, place: number, targetPlaces: readonly number[], file: string): ImageFiles {
  const others = table.columns.filter((_, i) => i !== place && !targetPlaces.includes(i)).map(({ name }) => name)
  if (others.length > 0) {
    throw new DataError('BAD_DATA_FILE',
      `Beside the images of column '${table.columns[place].name}' there are columns that the network has no input ` +
        `for: ${listed(others)}. Name the answers with --target, and leave out the others.`)
  }
  const paths = Array.from(table.columns[place].cells, name => join(dirname(file), String(name)))
  return { paths,
    targets: targetPlaces.map(at => ({ name: table.columns[at].name,
      cells: Array.from(table.columns[at].cells, cell => (cell === null || cell === undefined ? '' : String(cell))) })
    ) }
}

/**
 * The images as rows of a network's input.
 * @param shape that of the input, -1 for the axis of the examples
 * @throws UsageError where an option is missing, DataError naming the file of another shape
 */
export async function imageRows(paths: readonly string[], shape: readonly number[],
  options: PixelOptions): Promise<Tensor> {
  const { white } = options
  if (white === undefined) {
    throw new UsageError('Images need --pixels 0-1 or --pixels 0-255: the values that the network was trained with.')
  }
  let wanted: readonly number[] = shape.filter(extent => extent !== -1)
  let data = new Float64Array(0)
  for (const [row, path] of paths.entries()) {
    const bytes = await readBytes(path)
    await withFileName(path, async () => {
      const image = await readImage(bytes)
      const { last, own } = layout(image, wanted, options.channels)
      const size = image.width * image.height * image.channels
      // Lengths that the network leaves open are those of the first image.
      wanted = own
      if (row === 0) data = new Float64Array(paths.length * size)
      fill(data.subarray(row * size), image, last, { ...options, white })
    })
  }
  return float64([paths.length, ...wanted], data)
}

/**
 * The shape of an image as the input has it, and whether its channels are last.
 * @param wanted the shape of an example, 0 for lengths that are open
 * @throws DataError where the image has another, UsageError where it is not clear
 */
function layout({ width, height, channels }: Image, wanted: readonly number[],
  stated: Channels | undefined): { readonly last: boolean, readonly own: readonly number[] } {
  const fits = (own: readonly number[]): boolean =>
    own.length === wanted.length && own.every((extent, i) => wanted[i] === extent || wanted[i] === 0)
  const [first, last] = [[channels, height, width], [height, width, channels]]
  if (fits(first)) return { last: false, own: first }
  if (fits(last)) return { last: true, own: last }
  if (channels === 1 && fits([height, width])) return { last: true, own: [height, width] }
  const flat = [height * width * channels]
  if (fits(flat) && (channels === 1 || stated !== undefined)) return { last: stated === 'last', own: flat }
  if (fits(flat)) {
    throw new UsageError('The input is flat: say with --channels first or --channels last how colours lie in it.')
  }
  throw new DataError('BAD_DATA_FILE',
    `The image has ${height} rows, ${width} columns and ${channels === 1 ? 'one channel (grey)' : '3 channels'}; the ` +
      `network takes ${
        wanted.map(extent => (extent === 0 ? 'any' : extent)).join(' x ')
      }. Resize and convert images as it was done for the training.`, {
    expected: wanted,
    actual: [height, width, channels],
  })
}

/** Writes the values of an image, scaled, with channels first or last. */
function fill(row: Float64Array, { width, height, channels, values, most }: Image, last: boolean,
  { white, mean = [0], deviation = [1] }: PixelOptions & { readonly white: number }): void {
  for (const list of [mean, deviation]) {
    if (list.length > 1 && list.length !== channels) {
      throw new UsageError(`--pixel-mean and --pixel-std take one number, or ${channels}; got ${list.join(',')}.`)
    }
  }
  const pixels = width * height
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      const found = values[pixel * channels + channel]
      const value = most === white ? found : found / most * white
      const [shift, scale] = [mean[channel] ?? mean[0], deviation[channel] ?? deviation[0]]
      row[last ? pixel * channels + channel : channel * pixels + pixel] = (value - shift) / scale
    }
  }
}
