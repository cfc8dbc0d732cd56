/**
 * @file Convolutions of 3 x 3 with steps of 1 by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin and Gray, "Fast
 * algorithms for convolutional neural networks", 2016): a tile of 2 x 2 results takes 16 products for each pair of
 * channels in place of 36. y = A' [(G g G') . (B' d B)] A for the kernel g and the tile d of 4 x 4 inputs.
 */
import { entry, everySecond, gather, isEverySecond } from './gathered'
import { BLOCK_ROWS, blockColumns, microProduct, packedNumber } from './micro-kernel'
import { lanes } from './simd'

/** Products of one tile. */
const TERMS: i32 = 16
/** Channels of the result that are made at a time, and panels of tiles. */
const ROWS: i32 = 32
const PANELS: i32 = 8
/** Of up to so many inputs a block's stay in the cache while four channels at a time are made and finished. */
const FEW_INPUTS: i32 = 32

/** TERMS x ROWS x tiles. */
const products: usize = memory.data(16 * 32 * 8 * 32, 16)
const square: usize = memory.data(128, 16)

/** Tiles whose products are made at a time. */
// @ts-ignore: decorator
@inline
function blockTiles<T extends number>(): i32 {
  return PANELS * blockColumns<T>()
}

/** Number k of the kernels of four channels of the result; of f64, that of one channel twice. */
// @ts-ignore: decorator
@inline
function tap<T extends number>(turned: bool, k: usize, kernel: usize, second: usize, third: usize,
  fourth: usize): v128 {
  const at = (turned ? 8 - k : k) * sizeof<T>()
  if (sizeof<T>() == 8) return v128.load64_splat(kernel + at)
  const pair = v128.load32_lane(second + at, v128.load32_zero(kernel + at), 1)
  return v128.load32_lane(fourth + at, v128.load32_lane(third + at, pair, 2), 3)
}

/** A row of G g, times G'. */
// @ts-ignore: decorator
@inline
function storeRow<T extends number>(to: usize, term: usize, a: v128, b: v128, c: v128): void {
  const half = v128.splat<T>(<T> 0.5)
  const ends = v128.add<T>(a, c)
  v128.store(to, a)
  v128.store(to + term, v128.mul<T>(half, v128.add<T>(ends, b)))
  v128.store(to + 2 * term, v128.mul<T>(half, v128.sub<T>(ends, b)))
  v128.store(to + 3 * term, c)
}

/** (a + b + c) / 2, or (a - b + c) / 2. */
// @ts-ignore: decorator
@inline
function middle<T extends number>(positive: bool, a: v128, b: v128, c: v128): v128 {
  const ends = v128.add<T>(a, c)
  return v128.mul<T>(v128.splat<T>(<T> 0.5), positive ? v128.add<T>(ends, b) : v128.sub<T>(ends, b))
}

/**
 * G g G' of every pair of channels, packed as the micro-kernel reads them, one term after the other.
 * @param turned the weights are stored as inputs x outputs, and turned by half a circle
 */
export function winogradWeights<T extends number>(outputs: i32, inputs: i32, turned: bool, weights: usize,
  target: usize): void {
  const column = <usize> BLOCK_ROWS * packedNumber<T>()
  const panels = (outputs + BLOCK_ROWS - 1) / BLOCK_ROWS
  const term = <usize> (panels * inputs) * column
  const kernel = 9 * sizeof<T>()
  const stepO = turned ? kernel : <usize> inputs * kernel
  const stepC = turned ? <usize> outputs * kernel : kernel
  const together = sizeof<T>() == 8 ? 1 : BLOCK_ROWS
  for (let o = 0; o < outputs; o += together) {
    let first = weights + <usize> o * stepO
    // Rows of the last panel beyond the last channel are of no use, whatever they are.
    let second = weights + <usize> min(o + 1, outputs - 1) * stepO
    let third = weights + <usize> min(o + 2, outputs - 1) * stepO
    let fourth = weights + <usize> min(o + 3, outputs - 1) * stepO
    let to = target + <usize> (o / BLOCK_ROWS * inputs) * column + <usize> (o % BLOCK_ROWS) * packedNumber<T>()
    for (let c = 0; c < inputs; c++) {
      const g0 = tap<T>(turned, 0, first, second, third, fourth)
      const g1 = tap<T>(turned, 1, first, second, third, fourth)
      const g2 = tap<T>(turned, 2, first, second, third, fourth)
      const g3 = tap<T>(turned, 3, first, second, third, fourth)
      const g4 = tap<T>(turned, 4, first, second, third, fourth)
      const g5 = tap<T>(turned, 5, first, second, third, fourth)
      const g6 = tap<T>(turned, 6, first, second, third, fourth)
      const g7 = tap<T>(turned, 7, first, second, third, fourth)
      const g8 = tap<T>(turned, 8, first, second, third, fourth)
      storeRow<T>(to, term, g0, g1, g2)
      storeRow<T>(to + 4 * term, term, middle<T>(true, g0, g3, g6), middle<T>(true, g1, g4, g7),
        middle<T>(true, g2, g5, g8))
      storeRow<T>(to + 8 * term, term, middle<T>(false, g0, g3, g6), middle<T>(false, g1, g4, g7),
        middle<T>(false, g2, g5, g8))
      storeRow<T>(to + 12 * term, term, g6, g7, g8)
      first += stepC
      second += stepC
      third += stepC
      fourth += stepC
      to += column
    }
  }
}

/**
 * out = the convolution + bias + added, rectified or not. Tiles lie at `image + origins[t]`, their results at
 * `out + targets[t]`; tables hold bytes, and those of origins are filled up to whole panels.
 * @param edges of each tile, 1 if it has a second column, plus 2 if it has a second row
 * @param line bytes from line to line of the image; `outLine` of the result
 * @param kernels what `winogradWeights` has made
 * @param room 16 terms x 8 panels x inputs of 32 bytes
 */
export function winograd<T extends number>(outputs: i32, inputs: i32, tiles: i32, image: usize, plane: usize,
  line: usize, origins: usize, kernels: usize, room: usize, bias: usize, added: usize, rectified: bool, out: usize,
  outPlane: usize, outLine: usize, targets: usize, edges: usize): void {
  const width = blockColumns<T>()
  const block = blockTiles<T>()
  const most = inputs <= FEW_INPUTS ? BLOCK_ROWS : ROWS
  const rowBytes = <usize> block * sizeof<T>()
  const panelBytes = <usize> inputs << 5
  const aBytes = <usize> (BLOCK_ROWS * inputs) * packedNumber<T>()
  const panelsA = (outputs + BLOCK_ROWS - 1) / BLOCK_ROWS
  for (let t = 0; t < tiles; t += block) {
    const count = min(block, tiles - t)
    const panels = (count + width - 1) / width
    for (let panel = 0; panel < panels; panel++) {
      transformPanel<T>(inputs, image, plane, line, origins + (<usize> (t + panel * width) << 2),
        room + <usize> panel * panelBytes, <usize> PANELS * panelBytes)
    }
    for (let o = 0; o < outputs; o += most) {
      const rows = min(most, outputs - o)
      for (let term = 0; term < TERMS; term++) {
        const own = products + <usize> (term * most) * rowBytes
        const a = kernels + <usize> (term * panelsA + o / BLOCK_ROWS) * aBytes
        for (let panel = 0; panel < panels; panel++) {
          const b = room + <usize> (term * PANELS + panel) * panelBytes
          for (let r = 0; r < rows; r += BLOCK_ROWS) {
            microProduct<T>(inputs, a + <usize> (r / BLOCK_ROWS) * aBytes, b,
              own + <usize> r * rowBytes + (<usize> panel << 5), rowBytes)
          }
        }
      }
      const below = <usize> o * outPlane
      finishTiles<T>(rows, count, rowBytes, <usize> most * rowBytes,
        bias == 0 ? 0 : bias + <usize> o * sizeof<T>(), added == 0 ? 0 : added + below, rectified, out + below,
        outPlane, outLine, targets + (<usize> t << 2), edges + (<usize> t << 2))
    }
  }
}

/** B' d B of one panel of tiles in every channel; terms are `termBytes` apart. */
function transformPanel<T extends number>(inputs: i32, image: usize, plane: usize, line: usize, origins: usize,
  target: usize, termBytes: usize): void {
  const step = lanes<T>()
  for (let group = 0; group < 2; group++) {
    const table = origins + (<usize> (group * step) << 2)
    let to = target + (<usize> group << 4)
    let source = image
    const fast = isEverySecond<T>(table)
    const first = entry(table, 0)
    for (let c = 0; c < inputs; c++) {
      for (let row: usize = 0; row < 4; row++) {
        const from = source + row * line
        let d0: v128, d1: v128, d2: v128, d3: v128
        if (fast) {
          d0 = everySecond<T>(from + first)
          d1 = everySecond<T>(from + first + sizeof<T>())
          d2 = everySecond<T>(from + first + 2 * sizeof<T>())
          d3 = everySecond<T>(from + first + 3 * sizeof<T>())
        } else {
          d0 = gather<T>(from, table)
          d1 = gather<T>(from + sizeof<T>(), table)
          d2 = gather<T>(from + 2 * sizeof<T>(), table)
          d3 = gather<T>(from + 3 * sizeof<T>(), table)
        }
        const at = square
        // Columns first, as rows come one after the other; what they are turned into waits in the cache.
        if (row == 0) {
          v128.store(at, d0)
          v128.store(at, d1, 16)
          v128.store(at, d2, 32)
          v128.store(at, d3, 48)
        } else if (row == 1) {
          v128.store(at, d0, 64)
          v128.store(at, d1, 80)
          v128.store(at, d2, 96)
          v128.store(at, d3, 112)
        } else if (row == 2) {
          storeTerms<T>(to, termBytes, v128.sub<T>(v128.load(at), d0), v128.sub<T>(v128.load(at, 16), d1),
            v128.sub<T>(v128.load(at, 32), d2), v128.sub<T>(v128.load(at, 48), d3))
          const e0 = v128.load(at, 64), e1 = v128.load(at, 80), e2 = v128.load(at, 96), e3 = v128.load(at, 112)
          storeTerms<T>(to + 4 * termBytes, termBytes, v128.add<T>(e0, d0), v128.add<T>(e1, d1), v128.add<T>(e2, d2),
            v128.add<T>(e3, d3))
          storeTerms<T>(to + 8 * termBytes, termBytes, v128.sub<T>(d0, e0), v128.sub<T>(d1, e1), v128.sub<T>(d2, e2),
            v128.sub<T>(d3, e3))
        } else {
          storeTerms<T>(to + 12 * termBytes, termBytes, v128.sub<T>(v128.load(at, 64), d0),
            v128.sub<T>(v128.load(at, 80), d1), v128.sub<T>(v128.load(at, 96), d2), v128.sub<T>(v128.load(at, 112), d3))
        }
      }
      source += plane
      to += 32
    }
  }
}

/** The transform along a row, stored in four terms. */
// @ts-ignore: decorator
@inline
function storeTerms<T extends number>(to: usize, termBytes: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, v128.sub<T>(a, c))
  v128.store(to + termBytes, v128.add<T>(b, c))
  v128.store(to + 2 * termBytes, v128.sub<T>(c, b))
  v128.store(to + 3 * termBytes, v128.sub<T>(b, d))
}

/** A' m A of the tiles of some channels, with what is added, where it belongs. */
function finishTiles<T extends number>(rows: i32, count: i32, rowBytes: usize, termBytes: usize, bias: usize,
  added: usize, rectified: bool, out: usize, plane: usize, line: usize, targets: usize, edges: usize): void {
  const step = lanes<T>()
  const zero = v128.splat<T>(<T> 0)
  for (let t = 0; t < count; t += step) {
    const eight = sizeof<T>() == 4 && t + step <= count && isEverySecond<T>(targets) && whole(edges)
    let from = products + <usize> t * sizeof<T>()
    let below: usize = 0
    for (let r = 0; r < rows; r++) {
      const shift = bias == 0 ? zero : v128.load_splat<T>(bias + <usize> r * sizeof<T>())
      const top = firstOf<T>(from, termBytes), top1 = firstOf<T>(from + termBytes, termBytes)
      const top2 = firstOf<T>(from + 2 * termBytes, termBytes), top3 = firstOf<T>(from + 3 * termBytes, termBytes)
      const end = secondOf<T>(from, termBytes), end1 = secondOf<T>(from + termBytes, termBytes)
      const end2 = secondOf<T>(from + 2 * termBytes, termBytes), end3 = secondOf<T>(from + 3 * termBytes, termBytes)
      const a = v128.add<T>(v128.add<T>(v128.add<T>(shift, top), top1), top2)
      const b = v128.sub<T>(v128.sub<T>(v128.add<T>(shift, top1), top2), top3)
      const c = v128.add<T>(v128.add<T>(v128.add<T>(shift, end), end1), end2)
      const d = v128.sub<T>(v128.sub<T>(v128.add<T>(shift, end1), end2), end3)
      const own = added == 0 ? 0 : added + below
      if (eight) {
        const at = entry(targets, 0)
        finishEight<T>(a, b, added == 0 ? 0 : own + at, rectified, out + below + at)
        finishEight<T>(c, d, added == 0 ? 0 : own + at + line, rectified, out + below + at + line)
      } else {
        v128.store(square, a)
        v128.store(square, b, 16)
        v128.store(square, c, 32)
        v128.store(square, d, 48)
        finishEdges<T>(min(step, count - t), own, rectified, out + below, line, targets, edges)
      }
      from += rowBytes
      below += plane
    }
    targets += <usize> step << 2
    edges += <usize> step << 2
  }
}

/** A' of a column, its first number; terms of a column lie four apart. */
// @ts-ignore: decorator
@inline
function firstOf<T extends number>(at: usize, termBytes: usize): v128 {
  return v128.add<T>(v128.add<T>(v128.load(at), v128.load(at + 4 * termBytes)), v128.load(at + 8 * termBytes))
}

/** Its second number. */
// @ts-ignore: decorator
@inline
function secondOf<T extends number>(at: usize, termBytes: usize): v128 {
  return v128.sub<T>(v128.sub<T>(v128.load(at + 4 * termBytes), v128.load(at + 8 * termBytes)),
    v128.load(at + 12 * termBytes))
}

/** Some tiles of `square`, of which some may reach beyond the result. */
function finishEdges<T extends number>(count: i32, added: usize, rectified: bool, out: usize, line: usize,
  targets: usize, edges: usize): void {
  for (let i = 0; i < count; i++) {
    const own = square + <usize> i * sizeof<T>()
    const edge = <i32> entry(edges, i)
    const at = entry(targets, i)
    finishNumber<T>(load<T>(own), added, rectified, out, at)
    if ((edge & 1) != 0) finishNumber<T>(load<T>(own + 16), added, rectified, out, at + sizeof<T>())
    if ((edge & 2) == 0) continue
    finishNumber<T>(load<T>(own + 32), added, rectified, out, at + line)
    if ((edge & 1) != 0) finishNumber<T>(load<T>(own + 48), added, rectified, out, at + line + sizeof<T>())
  }
}

/** Whether four tiles have two rows and two columns. */
// @ts-ignore: decorator
@inline
function whole(edges: usize): bool {
  return (entry(edges, 0) & entry(edges, 1) & entry(edges, 2) & entry(edges, 3)) == 3
}

/** Eight numbers of a line, from those in even and in odd columns. */
// @ts-ignore: decorator
@inline
function finishEight<T extends number>(even: v128, odd: v128, added: usize, rectified: bool, out: usize): void {
  let low = v128.shuffle<f32>(even, odd, 0, 4, 1, 5)
  let high = v128.shuffle<f32>(even, odd, 2, 6, 3, 7)
  if (added != 0) {
    low = v128.add<T>(low, v128.load(added))
    high = v128.add<T>(high, v128.load(added, 16))
  }
  if (rectified) {
    const zero = v128.splat<T>(<T> 0)
    low = v128.andnot(low, v128.lt<T>(low, zero))
    high = v128.andnot(high, v128.lt<T>(high, zero))
  }
  v128.store(out, low)
  v128.store(out, high, 16)
}

// @ts-ignore: decorator
@inline
function finishNumber<T extends number>(value: T, added: usize, rectified: bool, out: usize, at: usize): void {
  const sum = added == 0 ? value : <T> (value + load<T>(added + at))
  store<T>(out + at, rectified && sum < <T> 0 ? <T> 0 : sum)
}
