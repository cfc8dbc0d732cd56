/**
 * @file Products with matrices that are never formed: number (p, j) of such a matrix is found in an image at
 * `steps[p] + origins[j]`. Windows of a convolution are such a matrix (their origins, and the steps from there to each
 * of their elements), and so are the positions of a value whose channels come first. Tables hold bytes, as i32.
 */
import { COLUMNS, multiplyPacked, packedA, packedB, passDepth, ROWS } from './gemm'
import { BLOCK_ROWS, blockColumns, microKernel, packedNumber, spread } from './micro-kernel'
import { packAcross, packTwice, transposeFour } from './pack'
import { lanes, multiplyAdd } from './simd'

const block: usize = memory.data(128, 16)

/** Number i of a table. */
// @ts-ignore: decorator
@inline
export function entry(table: usize, i: i32): usize {
  return <usize> load<i32>(table + (<usize> i << 2))
}

/** Whether `count` numbers of a table lie one after the other. */
// @ts-ignore: decorator
@inline
export function adjoin<T extends number>(table: usize, count: i32): bool {
  return entry(table, count - 1) - entry(table, 0) == <usize> (count - 1) * sizeof<T>()
}

/** Whether the numbers of a vector lie two apart. */
// @ts-ignore: decorator
@inline
export function isEverySecond<T extends number>(table: usize): bool {
  if (sizeof<T>() == 8) return false
  const distance = entry(table, 1) - entry(table, 0)
  return distance == 8 && entry(table, 2) - entry(table, 1) == 8 && entry(table, 3) - entry(table, 2) == 8
}

/** Four f32, two apart; nothing behind the last one is read. */
// @ts-ignore: decorator
@inline
export function everySecond<T extends number>(from: usize): v128 {
  return sizeof<T>() == 8 ? v128.load(from) : v128.shuffle<f32>(v128.load(from), v128.load(from, 12), 0, 2, 5, 7)
}

/** One vector of numbers at `base` plus the entries of a table. */
// @ts-ignore: decorator
@inline
export function gather<T extends number>(base: usize, table: usize): v128 {
  if (sizeof<T>() == 8) return v128.load64_lane(base + entry(table, 1), v128.load64_zero(base + entry(table, 0)), 1)
  let value = v128.load32_zero(base + entry(table, 0))
  value = v128.load32_lane(base + entry(table, 1), value, 1)
  value = v128.load32_lane(base + entry(table, 2), value, 2)
  return v128.load32_lane(base + entry(table, 3), value, 3)
}

/** Packs `count` columns in panels of `width`; the last panel is filled up with zeros. */
// @ts-ignore: decorator
@inline
function packGathered<T extends number>(width: i32, count: i32, depth: i32, image: usize, columns: usize,
  steps: usize, target: usize): void {
  const panelBytes = <usize> width * sizeof<T>()
  const step = lanes<T>()
  for (let first = 0; first < count; first += width) {
    if (first + width > count) memory.fill(target, 0, <usize> depth * panelBytes)
    for (let group = 0; group < width; group += step) {
      const table = columns + (<usize> (first + group) << 2)
      const to = target + <usize> group * sizeof<T>()
      const left = count - first - group
      if (left >= step) packVectors<T>(depth, image, table, steps, to, panelBytes)
      else for (let i = 0; i < left; i++) packNumbers<T>(depth, image + entry(table, i), steps,
          to + <usize> i * sizeof<T>(), panelBytes)
    }
    target += <usize> depth * panelBytes
  }
}

/** One vector of columns: copied where they adjoin, turned round where the steps do, else gathered. */
function packVectors<T extends number>(depth: i32, image: usize, columns: usize, steps: usize, to: usize,
  panelBytes: usize): void {
  if (adjoin<T>(columns, lanes<T>())) {
    const from = image + entry(columns, 0)
    for (const end = steps + (<usize> depth << 2); steps < end; steps += 4) {
      v128.store(to, v128.load(from + entry(steps, 0)))
      to += panelBytes
    }
    return
  }
  if (isEverySecond<T>(columns)) {
    const from = image + entry(columns, 0)
    for (const end = steps + (<usize> depth << 2); steps < end; steps += 4) {
      v128.store(to, everySecond<T>(from + entry(steps, 0)))
      to += panelBytes
    }
    return
  }
  const step = lanes<T>()
  let p = 0
  while (p < depth) {
    if (p + step <= depth && adjoin<T>(steps, step)) {
      const from = image + entry(steps, 0)
      if (sizeof<T>() == 8) {
        const r0 = v128.load(from + entry(columns, 0))
        const r1 = v128.load(from + entry(columns, 1))
        v128.store(to, v128.shuffle<f64>(r0, r1, 0, 2))
        v128.store(to + panelBytes, v128.shuffle<f64>(r0, r1, 1, 3))
      } else {transposeFour(from + entry(columns, 0), from + entry(columns, 1), from + entry(columns, 2),
          from + entry(columns, 3), to, panelBytes)}
      p += step
      to += panelBytes * <usize> step
      steps += <usize> step << 2
    } else {
      v128.store(to, gather<T>(image + entry(steps, 0), columns))
      p++
      to += panelBytes
      steps += 4
    }
  }
}

function packNumbers<T extends number>(depth: i32, from: usize, steps: usize, to: usize, panelBytes: usize): void {
  for (const end = steps + (<usize> depth << 2); steps < end; steps += 4) {
    store<T>(to, load<T>(from + entry(steps, 0)))
    to += panelBytes
  }
}

/**
 * out = W G + bias + added, then max(., 0) with `rectified`, for weights W of channels x depth and the gathered matrix
 * G of depth x columns. Number (c, j) of the result lies at out + c * plane + targets[j], and what is added to it as
 * far behind `added`.
 * @param bias one number a channel, or 0
 * @param added as long as the result, or 0
 */
export function convolve<T extends number>(channels: i32, columns: i32, depth: i32, weights: usize, image: usize,
  origins: usize, steps: usize, bias: usize, added: usize, rectified: bool, out: usize, plane: usize,
  targets: usize): void {
  if (channels < BLOCK_ROWS) {
    for (let c = 0; c < channels; c++) {
      convolveChannel<T>(columns, depth, weights, image, origins, steps, bias == 0 ? <T> 0 : load<T>(bias), added,
        rectified, out, targets)
      weights += <usize> depth * sizeof<T>()
      if (bias != 0) bias += sizeof<T>()
      if (added != 0) added += plane
      out += plane
    }
    return
  }
  const most = passDepth<T>()
  const strideA = <usize> depth * sizeof<T>()
  if (channels <= ROWS && depth <= most) {
    packWeights<T>(channels, depth, weights, strideA)
    convolvePanels<T>(channels, columns, depth, image, origins, steps, bias, added, rectified, out, plane, targets)
    return
  }
  for (let j = 0; j < columns; j += COLUMNS) {
    const count = min(COLUMNS, columns - j)
    const at = <usize> j << 2
    let p = 0
    do {
      const part = min(most, depth - p)
      packGathered<T>(blockColumns<T>(), count, part, image, origins + at, steps + (<usize> p << 2), packedB)
      for (let i = 0; i < channels; i += ROWS) {
        const rows = min(ROWS, channels - i)
        const below = <usize> i * plane
        packWeights<T>(rows, part, weights + <usize> i * strideA + <usize> p * sizeof<T>(), strideA)
        multiplyInto<T>(rows, count, part, packedA, p == 0, bias == 0 ? 0 : bias + <usize> i * sizeof<T>(),
          p + part < depth || added == 0 ? 0 : added + below, rectified && p + part >= depth, out + below, plane,
          targets + at)
      }
      p += part
    } while (p < depth)
  }
}

/** The same for packed weights of all channels, panel by panel. */
function convolvePanels<T extends number>(channels: i32, columns: i32, depth: i32, image: usize, origins: usize,
  steps: usize, bias: usize, added: usize, rectified: bool, out: usize, plane: usize, targets: usize): void {
  const width = blockColumns<T>()
  const half = <usize> lanes<T>() << 2
  const full = channels & -BLOCK_ROWS
  const panelA = <usize> (BLOCK_ROWS * depth) * packedNumber<T>()
  for (let j = 0; j < columns; j += width) {
    const count = min(width, columns - j)
    const whole = count == width && adjoin<T>(targets, lanes<T>()) && adjoin<T>(targets + half, lanes<T>())
    // What lies in vectors in the image need not be packed.
    const direct = whole && adjoin<T>(origins, lanes<T>()) && adjoin<T>(origins + half, lanes<T>())
    const rows = whole ? full : 0
    if (!direct || rows < channels) packGathered<T>(width, count, depth, image, origins, steps, packedB)
    const first = direct ? image + entry(origins, 0) : packedB
    const second = direct ? image + entry(origins, lanes<T>()) : packedB + 16
    let a = packedA
    for (let i = 0; i < rows; i += BLOCK_ROWS) {
      const below = out + <usize> i * plane
      const own = added == 0 ? 0 : added + <usize> i * plane
      const shift = bias == 0 ? 0 : bias + <usize> i * sizeof<T>()
      const low = entry(targets, 0), high = entry(targets, lanes<T>())
      if (direct) convolveBlock<T>(true, depth, a, first, second, steps, shift, own, rectified, below, plane, low, high)
      else convolveBlock<T>(false, depth, a, first, second, steps, shift, own, rectified, below, plane, low, high)
      a += panelA
    }
    if (rows < channels) {
      multiplyInto<T>(channels - rows, count, depth, a, true, bias == 0 ? 0 : bias + <usize> rows * sizeof<T>(),
        added == 0 ? 0 : added + <usize> rows * plane, rectified, out + <usize> rows * plane, plane, targets)
    }
    origins += <usize> width << 2
    targets += <usize> width << 2
  }
}

/**
 * Four channels of two vectors of columns, from bias to rectifier in registers.
 * @param direct whether the columns' numbers p lie at `first` and `second` plus step p, or in a panel, all 32 bytes
 * @param low where the results of the first vector belong, from the start of a channel; `high` of the second
 */
// @ts-ignore: decorator
@inline
function convolveBlock<T extends number>(direct: bool, depth: i32, a: usize, first: usize, second: usize, steps: usize,
  bias: usize, added: usize, rectified: bool, out: usize, plane: usize, low: usize, high: usize): void {
  const size = packedNumber<T>()
  let c00 = v128.splat<T>(<T> 0), c01 = c00
  let c10 = c00, c11 = c00
  let c20 = c00, c21 = c00
  let c30 = c00, c31 = c00
  for (const end = a + <usize> (BLOCK_ROWS * depth) * size; a < end; a += BLOCK_ROWS * size) {
    const step = direct ? entry(steps, 0) : 0
    const b0 = v128.load(first + step)
    const b1 = v128.load(second + step)
    const a0 = spread<T>(a)
    c00 = multiplyAdd<T>(a0, b0, c00)
    c01 = multiplyAdd<T>(a0, b1, c01)
    const a1 = spread<T>(a + size)
    c10 = multiplyAdd<T>(a1, b0, c10)
    c11 = multiplyAdd<T>(a1, b1, c11)
    const a2 = spread<T>(a + 2 * size)
    c20 = multiplyAdd<T>(a2, b0, c20)
    c21 = multiplyAdd<T>(a2, b1, c21)
    const a3 = spread<T>(a + 3 * size)
    c30 = multiplyAdd<T>(a3, b0, c30)
    c31 = multiplyAdd<T>(a3, b1, c31)
    if (direct) steps += 4
    else {
      first += 32
      second += 32
    }
  }
  // A large bias in the sums from their start would cost them digits.
  storeFinished<T>(c00, c01, biasOf<T>(bias, 0), added, rectified, out, low, high)
  storeFinished<T>(c10, c11, biasOf<T>(bias, 1), added == 0 ? 0 : added + plane, rectified, out + plane, low, high)
  storeFinished<T>(c20, c21, biasOf<T>(bias, 2), added == 0 ? 0 : added + 2 * plane, rectified, out + 2 * plane, low,
    high)
  storeFinished<T>(c30, c31, biasOf<T>(bias, 3), added == 0 ? 0 : added + 3 * plane, rectified, out + 3 * plane, low,
    high)
}

// @ts-ignore: decorator
@inline
function biasOf<T extends number>(bias: usize, channel: usize): v128 {
  return bias == 0 ? v128.splat<T>(<T> 0) : v128.load_splat<T>(bias + channel * sizeof<T>())
}

/** Two vectors of a channel, with the bias and what is added, rectified or not. */
// @ts-ignore: decorator
@inline
function storeFinished<T extends number>(first: v128, second: v128, bias: v128, added: usize, rectified: bool,
  out: usize, low: usize, high: usize): void {
  first = v128.add<T>(first, bias)
  second = v128.add<T>(second, bias)
  if (added != 0) {
    first = v128.add<T>(first, v128.load(added + low))
    second = v128.add<T>(second, v128.load(added + high))
  }
  if (rectified) {
    const zero = v128.splat<T>(<T> 0)
    first = v128.andnot(first, v128.lt<T>(first, zero))
    second = v128.andnot(second, v128.lt<T>(second, zero))
  }
  v128.store(out + low, first)
  v128.store(out + high, second)
}

function packWeights<T extends number>(rows: i32, depth: i32, weights: usize, stride: usize): void {
  if (sizeof<T>() == 8) packTwice(rows, depth, weights, stride, 8, packedA)
  else packAcross<T>(BLOCK_ROWS, rows, depth, weights, stride, packedA)
}

/** The packed product, block by block, each finished while it is in the innermost cache. */
function multiplyInto<T extends number>(rows: i32, columns: i32, depth: i32, a: usize, first: bool, bias: usize,
  added: usize, rectified: bool, out: usize, plane: usize, targets: usize): void {
  const width = blockColumns<T>()
  const rowBytes: usize = 32
  let panelB = packedB
  for (let j = 0; j < columns; j += width) {
    const places = targets + (<usize> j << 2)
    const count = min(width, columns - j)
    const whole = count == width && adjoin<T>(places, width)
    let panelA = a
    for (let i = 0; i < rows; i += BLOCK_ROWS) {
      const own = min(BLOCK_ROWS, rows - i)
      const to = out + <usize> i * plane
      startBlock<T>(own, count, whole, first, bias == 0 ? 0 : bias + <usize> i * sizeof<T>(), to, plane, places)
      microKernel<T>(depth, panelA, panelB, <T> 1, block, rowBytes)
      finishBlock<T>(own, count, whole, added == 0 ? 0 : added + <usize> i * plane, rectified, to, plane, places)
      panelA += <usize> (BLOCK_ROWS * depth) * packedNumber<T>()
    }
    panelB += <usize> (width * depth) * sizeof<T>()
  }
}

/** What the product is added to: the bias, or in later passes what the earlier ones have made. */
// @ts-ignore: decorator
@inline
function startBlock<T extends number>(rows: i32, count: i32, whole: bool, first: bool, bias: usize, out: usize,
  plane: usize, places: usize): void {
  let to = block
  for (let r = 0; r < rows; r++) {
    if (first) {
      const value = bias == 0 ? v128.splat<T>(<T> 0) : v128.splat<T>(load<T>(bias + <usize> r * sizeof<T>()))
      v128.store(to, value)
      v128.store(to, value, 16)
    } else if (whole) {
      const from = out + entry(places, 0)
      v128.store(to, v128.load(from))
      v128.store(to, v128.load(from, 16), 16)
    } else {for (let c = 0; c < count; c++) store<T>(to + <usize> c * sizeof<T>(), load<T>(out + entry(places, c)))}
    to += 32
    out += plane
  }
}

// @ts-ignore: decorator
@inline
function finishBlock<T extends number>(rows: i32, count: i32, whole: bool, added: usize, rectified: bool, out: usize,
  plane: usize, places: usize): void {
  let from = block
  const zero = v128.splat<T>(<T> 0)
  for (let r = 0; r < rows; r++) {
    if (whole) {
      const place = entry(places, 0)
      let low = v128.load(from)
      let high = v128.load(from, 16)
      if (added != 0) {
        low = v128.add<T>(low, v128.load(added + place))
        high = v128.add<T>(high, v128.load(added + place, 16))
      }
      if (rectified) {
        low = v128.andnot(low, v128.lt<T>(low, zero))
        high = v128.andnot(high, v128.lt<T>(high, zero))
      }
      v128.store(out + place, low)
      v128.store(out + place, high, 16)
    } else {
      for (let c = 0; c < count; c++) {
        const place = entry(places, c)
        let value = load<T>(from + <usize> c * sizeof<T>())
        if (added != 0) value = <T> (value + load<T>(added + place))
        store<T>(out + place, rectified && value < <T> 0 ? <T> 0 : value)
      }
    }
    from += 32
    out += plane
    if (added != 0) added += plane
  }
}

/** One row of the result, without packing. */
function convolveChannel<T extends number>(columns: i32, depth: i32, weights: usize, image: usize, origins: usize,
  steps: usize, bias: T, added: usize, rectified: bool, out: usize, targets: usize): void {
  const width = lanes<T>()
  const lastStep = steps + (<usize> depth << 2)
  const zero = v128.splat<T>(<T> 0)
  let j = 0
  while (j < columns) {
    const left = columns - j
    if (left >= 2 * width && adjoin<T>(origins, 2 * width) && adjoin<T>(targets, 2 * width)) {
      const from = image + entry(origins, 0)
      let weight = weights
      let low = v128.splat<T>(bias), high = low
      for (let step = steps; step < lastStep; step += 4) {
        const factor = v128.load_splat<T>(weight)
        const at = from + entry(step, 0)
        low = multiplyAdd<T>(factor, v128.load(at), low)
        high = multiplyAdd<T>(factor, v128.load(at, 16), high)
        weight += sizeof<T>()
      }
      const place = entry(targets, 0)
      if (added != 0) {
        low = v128.add<T>(low, v128.load(added + place))
        high = v128.add<T>(high, v128.load(added + place, 16))
      }
      if (rectified) {
        low = v128.andnot(low, v128.lt<T>(low, zero))
        high = v128.andnot(high, v128.lt<T>(high, zero))
      }
      v128.store(out + place, low)
      v128.store(out + place, high, 16)
      j += 2 * width
      origins += <usize> width << 3
      targets += <usize> width << 3
    } else {
      const from = image + entry(origins, 0)
      let weight = weights
      let value = bias
      for (let step = steps; step < lastStep; step += 4) {
        value = <T> (value + load<T>(weight) * load<T>(from + entry(step, 0)))
        weight += sizeof<T>()
      }
      const place = entry(targets, 0)
      if (added != 0) value = <T> (value + load<T>(added + place))
      store<T>(out + place, rectified && value < <T> 0 ? <T> 0 : value)
      j++
      origins += 4
      targets += 4
    }
  }
}

/**
 * The lower triangle of C += G G' for the gathered matrix G of n x depth: number (i, p) lies at
 * image + rows[i] + columns[p].
 * @typeParam T type of the image
 * @typeParam U type of C: T, or f64 to add products of f32 panels in f64
 */
export function gramGathered<T extends number, U extends number>(n: i32, depth: i32, image: usize, rows: usize,
  columns: usize, c: usize): void {
  const stride = <usize> n * sizeof<U>()
  for (let j = 0; j < n; j += COLUMNS) {
    const width = min(COLUMNS, n - j)
    for (let p = 0; p < depth; p += passDepth<T>()) {
      const part = min(passDepth<T>(), depth - p)
      const steps = columns + (<usize> p << 2)
      packGathered<T>(blockColumns<T>(), width, part, image, rows + (<usize> j << 2), steps, packedB)
      for (let i = j - j % ROWS; i < n; i += ROWS) {
        const count = min(ROWS, n - i)
        const own = rows + (<usize> i << 2)
        if (sizeof<T>() == 8) packTwiceGathered(count, part, image, own, steps)
        else packGathered<T>(BLOCK_ROWS, count, part, image, own, steps, packedA)
        const block = c + (<usize> i * <usize> n + <usize> j) * sizeof<U>()
        multiplyPacked<T, U>(count, width, part, i - j, <T> 1, packedB, block, stride)
      }
    }
  }
}

/** As `packTwice`. */
function packTwiceGathered(count: i32, depth: i32, image: usize, rows: usize, steps: usize): void {
  const panelBytes = <usize> depth << 6
  let target = packedA
  for (let first = 0; first < count; first += BLOCK_ROWS) {
    if (first + BLOCK_ROWS > count) memory.fill(target, 0, panelBytes)
    for (let r = 0; r < min(BLOCK_ROWS, count - first); r++) {
      const from = image + entry(rows, first + r)
      let to = target + (<usize> r << 4)
      for (let step = steps; step < steps + (<usize> depth << 2); step += 4) {
        v128.store(to, v128.load64_splat(from + entry(step, 0)))
        to += 64
      }
    }
    target += panelBytes
  }
}

/** Copies planes of lines into planes with more room; what lies between stays as it is. */
export function spreadPlanes<T extends number>(planes: i32, depth: i32, height: i32, width: i32, source: usize,
  target: usize, lineStep: usize, sliceStep: usize, planeStep: usize): void {
  const bytes = <usize> width * sizeof<T>()
  const whole = bytes & ~15
  for (let plane = 0; plane < planes; plane++) {
    for (let z = 0; z < depth; z++) {
      let to = target + <usize> plane * planeStep + <usize> z * sliceStep
      for (let y = 0; y < height; y++) {
        let byte: usize = 0
        for (; byte < whole; byte += 16) v128.store(to + byte, v128.load(source + byte))
        for (; byte < bytes; byte += sizeof<T>()) store<T>(to + byte, load<T>(source + byte))
        source += bytes
        to += lineStep
      }
    }
  }
}
