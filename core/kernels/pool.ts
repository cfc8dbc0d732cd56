/** @file Pools over the windows of planes: the largest number, where it is, or the sum. */
import { arenaConstant, inKernelMemory } from './arena.js'
import type { Padding } from './gathered.js'
import type { RealArray } from './plain.js'

/** The windows of a plane. Tables of origins and steps are in bytes, those of places in numbers. */
export interface Pool {
  readonly planes: number
  /** Numbers of a plane. */
  readonly plane: number
  readonly origins: Int32Array
  readonly steps: Int32Array
  /** Where windows reach beyond a plane: how it lies in one with padding, and what that holds. */
  readonly padding?: { readonly layout: Padding, readonly value: number }
}

/** Where the numbers of a window lie in a plane without padding. */
export interface Places {
  readonly firstPlaces: Int32Array
  readonly places: Int32Array
  readonly indices: Float64Array
}

/** Planes that are padded at a time, up to so many numbers. */
const PADDED_NUMBERS = 1 << 16

/**
 * out = the largest number of each window (a NaN wins), or the sum; x and out are of one type. With `places`, for the
 * largest, its index in x too.
 */
export function pool(kind: 'maximum' | 'sum', windows: Pool, x: RealArray, out: RealArray, places?: Places): void {
  const { planes, plane, origins, steps, padding } = windows
  const size = out.BYTES_PER_ELEMENT
  const step = padding?.layout.plane ?? plane
  const most = padding === undefined ? planes : Math.max(1, Math.min(planes, Math.floor(PADDED_NUMBERS / step)))
  const Numbers = x.constructor as new(length: number) => RealArray
  const room = new Numbers(padding === undefined ? 0 : most * step).fill(padding?.value ?? 0)
  const operands = [{ array: x, use: 'read' }, { array: out, use: 'write' }, { array: room, use: 'read' }, {
    array: arenaConstant(origins),
    use: 'read',
  }, { array: arenaConstant(steps), use: 'read' },
    ...(places === undefined ? [] : [{ array: places.firstPlaces, use: 'read' }, {
      array: places.places,
      use: 'read',
    }, { array: places.indices, use: 'write' }] as const)] as const
  const done = inKernelMemory(operands, (kernel, ...[atX, atOut, atRoom, ...tables]) => {
    const [positions, largest, sum, spread] = size === 8
      ? [kernel.poolPositions64, kernel.poolMaximum64, kernel.poolSum64, kernel.spreadPlanes64]
      : [kernel.poolPositions32, kernel.poolMaximum32, kernel.poolSum32, kernel.spreadPlanes32]
    for (let first = 0; first < planes; first += most) {
      const count = Math.min(most, planes - first)
      let image = atX + first * plane * size
      if (padding !== undefined) {
        const { extents: [depth, height, width], first: start, line, slice } = padding.layout
        spread(count, depth, height, width, image, atRoom + start * size, line * size, slice * size, step * size)
        image = atRoom
      }
      const at = atOut + first * origins.length * size
      const rest = [count, origins.length, steps.length, image, step * size, tables[0], tables[1], at] as const
      if (places === undefined) (kind === 'sum' ? sum : largest)(...rest)
      else positions(...rest, tables[2], tables[3], first * plane, plane, tables[4] + 8 * first * origins.length)
    }
  })
  if (!done) poolPlainly(kind, windows, x, out, places)
}

function poolPlainly(kind: 'maximum' | 'sum', { planes, plane, origins, steps, padding }: Pool, x: RealArray,
  out: RealArray, places: Places | undefined): void {
  const size = out.BYTES_PER_ELEMENT
  const image = padding === undefined ? undefined : new Float64Array(padding.layout.plane)
  for (let i = 0, at = 0; i < planes; i++) {
    const own = padding === undefined || image === undefined
      ? x.subarray(i * plane, (i + 1) * plane)
      : padPlane(x.subarray(i * plane, (i + 1) * plane), padding.layout, image.fill(padding.value))
    for (let j = 0; j < origins.length; j++, at++) {
      let best = 0
      let value = kind === 'sum' ? 0 : own[(origins[j] + steps[0]) / size]
      for (let p = kind === 'sum' ? 0 : 1; p < steps.length; p++) {
        const other = own[(origins[j] + steps[p]) / size]
        if (kind === 'sum') value += other
        else if (!(other <= value) && !Number.isNaN(value)) [value, best] = [other, p]
      }
      out[at] = value
      if (places !== undefined) {
        places.indices[at] = i * plane + Math.max(0, places.firstPlaces[j] + places.places[best])
      }
    }
  }
}

function padPlane(x: RealArray, { extents: [depth, height, width], first, line, slice }: Padding,
  image: Float64Array): Float64Array {
  for (let z = 0, from = 0; z < depth; z++) {
    for (let y = 0; y < height; y++, from += width) {
      image.set(x.subarray(from, from + width), first + z * slice + y * line)
    }
  }
  return image
}
