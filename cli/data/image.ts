/** @file One PNG or JPEG file as numbers. The decoders are loaded when there is an image. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { DataError } from '../../core/errors/errors.js'

/** The values of an image: pixels row by row, the channels of a pixel beside each other. */
export interface Image {
  readonly width: number
  readonly height: number
  /** 1 (grey) or 3 (red, green, blue). */
  readonly channels: number
  /** Between 0 and `most`. */
  readonly values: ArrayLike<number>
  readonly most: number
}

/** The ends of image files' names. */
export const IMAGE_NAME: RegExp = /\.(png|jpe?g)$/i

const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89 && bytes[1] === 0x50 && bytes[2] === 0x4e
const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff

/** Whether these are the bytes of an image that can be read. */
export function isImage(bytes: Uint8Array): boolean {
  return isPng(bytes) || isJpeg(bytes)
}

/** Pixels that an image may have. */
const MOST_PIXELS = 100_000_000

/** The numbers of an image. @throws DataError BAD_DATA_FILE */
export async function readImage(bytes: Uint8Array): Promise<Image> {
  try {
    if (isPng(bytes)) return await readPng(bytes)
    if (isJpeg(bytes)) return await readJpeg(bytes)
  } catch (error) {
    throw error instanceof DataError ?
      error :
      new DataError('BAD_DATA_FILE', `The image is damaged${error instanceof Error ? `: ${error.message}` : ''}.`)
  }
  throw new DataError('BAD_DATA_FILE', 'This is no PNG or JPEG image.')
}

async function readPng(bytes: Uint8Array): Promise<Image> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  checkSize(view.getUint32(16), view.getUint32(20))
  const { convertIndexedToRgb, decode } = await import('fast-png')
  const png = decode(bytes, { checkCrc: true })
  const { width, height, data, depth, channels, palette, transparency } = png
  const image = { width, height }
  if (transparency !== undefined || palette?.some(([, , , alpha = 255]) => alpha !== 255) === true) throw transparent()
  if (palette !== undefined) {
    return { ...image, channels: 3, values: convertIndexedToRgb(png), most: 255 }
  }
  const most = 2 ** depth - 1
  const values = depth < 8 ? unpacked(data, width, height, depth) : data
  if (channels === 1 || channels === 3) return { ...image, channels, values, most }
  return { ...image, channels: channels - 1, values: withoutAlpha(values, channels, most), most }
}

/** Rows of fewer bits than a byte, each row beginning with a byte of its own. */
function unpacked(data: ArrayLike<number>, width: number, height: number, depth: number): Uint8Array {
  const [stride, each] = [Math.ceil(width * depth / 8), 8 / depth]
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width]
    const shift = 8 - depth * (column % each + 1)
    return data[row * stride + Math.floor(column / each)] >> shift & 2 ** depth - 1
  })
}

/** Colours alone, where every pixel is opaque. */
function withoutAlpha(values: ArrayLike<number>, channels: number, most: number): number[] {
  const [colours, count] = [channels - 1, values.length / channels]
  for (let pixel = 0; pixel < count; pixel++) if (values[pixel * channels + colours] !== most) throw transparent()
  return Array.from({ length: count * colours }, (_, i) => values[Math.floor(i / colours) * channels + i % colours])
}

/** What libjpeg gives, to the bit: other decoders differ from those of Python's and R's libraries in the colours. */
async function readJpeg(bytes: Uint8Array): Promise<Image> {
  const { width, height, components } = jpegFrame(bytes)
  checkSize(width, height)
  if (components !== 1 && components !== 3) {
    throw new DataError('BAD_DATA_FILE', `The JPEG image has ${components} channels. Convert it to RGB or grey.`)
  }
  const { default: decode, init } = await import('@jsquash/jpeg/decode.js')
  const scope = globalThis as { ImageData?: unknown }
  scope.ImageData ??= PixelData
  const wasm = createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm')
  await (loaded ??= readFile(wasm).then(wasmBinary => init({ wasmBinary, printErr: () => undefined })))
  const { data } = await decode(new Uint8Array(bytes).buffer).catch((error: unknown) => {
    // Its memory may be left in the middle of something.
    loaded = undefined
    throw error
  }) as unknown as PixelData
  const values = Uint8Array.from({ length: width * height * components },
    (_, i) => data[Math.floor(i / components) * 4 + i % components])
  return { width, height, channels: components, values, most: 255 }
}

let loaded: Promise<void> | undefined

/** What browsers call ImageData, which the decoder makes. */
class PixelData {
  readonly data: Uint8ClampedArray
  constructor(data: Uint8ClampedArray) {
    this.data = data
  }
}

/** Size and number of channels, in the frame's header (ITU T.81, B.2.2). */
function jpegFrame(bytes: Uint8Array): { width: number, height: number, components: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 2; at + 9 < bytes.length; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at)
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)
    if (isFrame) return { height: view.getUint16(at + 5), width: view.getUint16(at + 7), components: bytes[at + 9] }
  }
  throw new DataError('BAD_DATA_FILE', 'The JPEG image has no frame.')
}

function checkSize(width: number, height: number): void {
  if (width * height <= MOST_PIXELS) return
  throw new DataError('BAD_DATA_FILE', `The image is ${width} x ${height}; at most 1e8 pixels are read.`)
}

function transparent(): DataError {
  return new DataError('BAD_DATA_FILE',
    'The image is transparent in places, and what is behind them is not known. Save it without transparency.')
}
