/** @file The bundled data of the demo: handwritten digits, and pictures that are none. */
import { randomGenerator } from '../../core/tensor/random.js'
import { rows, type Tensor, tensor } from '../../core/tensor/tensor.js'
import { packageFile } from '../files/package-files.js'

/** Pixels on a side of a picture. */
export const SIDE = 8
const PIXELS = SIDE * SIDE

/** Pictures, one a row (N x 64, values 0 to 1), and their digits. */
export interface Digits {
  readonly x: Tensor
  readonly y: Tensor
}

/** What the network was trained on, and what it has never seen (demo/train.py). */
export async function readDigits(): Promise<{ readonly training: Digits, readonly unseen: Digits }> {
  const file = JSON.parse(new TextDecoder().decode(await packageFile('demo/digits.json'))) as { trainingRows: number,
    scale: number, pixels: string, labels: string }
  const ink = Uint8Array.from(atob(file.pixels), character => character.charCodeAt(0))
  const n = file.labels.length
  const x = tensor('float32', [n, PIXELS], Float32Array.from(ink, value => value / file.scale))
  const y = tensor('int64', [n], Array.from(file.labels, Number))
  const part = (from: number, to: number): Digits => ({ x: rows(x, from, to), y: rows(y, from, to) })
  return { training: part(0, file.trainingRows), unseen: part(file.trainingRows, n) }
}

/** Pictures whose pixels are drawn from the uniform distribution. */
export function noise(count: number, seed: number): Tensor {
  const random = randomGenerator(seed)
  return tensor('float32', [count, PIXELS], Float32Array.from({ length: count * PIXELS }, () => random.uniform()))
}

/** Pictures turned by 90 degrees counterclockwise. */
export function rotated({ shape, data }: Tensor): Tensor {
  const turned = new Float32Array(data.length)
  for (let i = 0; i < data.length; i++) {
    const [picture, row, column] = [Math.floor(i / PIXELS), Math.floor(i % PIXELS / SIDE), i % SIDE]
    turned[picture * PIXELS + (SIDE - 1 - column) * SIDE + row] = data[i]
  }
  return tensor('float32', shape, turned)
}
