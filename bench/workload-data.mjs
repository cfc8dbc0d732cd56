/** @file Reads a workload's file piece by piece, so that memory stays flat however many examples there are. */
import { open, readFile } from 'node:fs/promises'

/** Typed arrays of the two types that bench/workloads.py writes. */
const ARRAYS = { F32: Float32Array, I64: BigInt64Array }

/** The description that bench/workloads.py wrote beside the tensors. */
export async function readSpec(path) {
  return JSON.parse(await readFile(`${path}.json`, 'utf8'))
}

/** Opens the tensors of a workload: whole ones, rows of them, and the training data batch by batch. */
export async function openWorkload(path) {
  const file = await open(`${path}.safetensors`)
  const read = async (position, length) => {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length;) {
      const { bytesRead } = await file.read(bytes, at, length - at, position + at)
      if (bytesRead === 0) throw new Error(`${path}.safetensors ends early.`)
      at += bytesRead
    }
    return bytes
  }
  const headerLength = Number(new DataView((await read(0, 8)).buffer).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(await read(8, headerLength)))
  const bytesOf = (name, from, to) => {
    const { shape, data_offsets: [begin, end] } = header[name]
    const rowBytes = (end - begin) / shape[0]
    return read(8 + headerLength + begin + from * rowBytes, (to - from) * rowBytes)
  }
  const rows = async (name, from, to) => {
    const { dtype, shape } = header[name]
    const data = new ARRAYS[dtype]((await bytesOf(name, from, to)).buffer)
    return { data: dtype === 'I64' ? Int32Array.from(data, Number) : data, shape: [to - from, ...shape.slice(1)] }
  }
  return {
    rows,
    /** The state dict, as networkFromLayers takes it: name to { dtype, shape, bytes }. */
    async weights() {
      const names = Object.keys(header).filter(name => !['x', 'y', 'x_test', '__metadata__'].includes(name))
      return new Map(await Promise.all(names.map(async name => {
        const { shape } = header[name]
        return [name, { dtype: 'float32', shape, bytes: await bytesOf(name, 0, shape[0]) }]
      })))
    },
    /** The first `examples` rows of the training data, at most `size` at once. */
    async *batches(examples, size) {
      for (let from = 0; from < examples; from += size) {
        const to = Math.min(examples, from + size)
        yield { x: await rows('x', from, to), y: await rows('y', from, to) }
      }
    },
    close: () => file.close(),
  }
}
