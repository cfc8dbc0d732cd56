import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { externalLocations, readOnnx, writeOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { LaplaceError } from '../../../core/errors/errors.js'
import { type Graph, isBatch } from '../../../core/graph/graph.js'
import { isSupported } from '../../../core/ops/registry.js'
import { sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { readExternalData } from '../../../node/files/external-data.js'
import { relativeDifference } from '../../support/compare.js'
import { runInOnnxRuntime } from './onnxruntime.js'

const folder = new URL('../../../../shared/models/onnx/', import.meta.url).pathname

/** Files that are refused as a whole, with the code of the error. */
const REFUSED: Record<string, string> = {
  // Its Squeeze has an attribute of an older operator set than the one that the file names.
  'deeploy/Transformer_Train/network.onnx': 'UNTRUSTED_INPUT',
  'sklearn-onnx__model.onnx': 'UNSUPPORTED_FORMAT',
  'sklearn-onnx__pipeline_titanic.onnx': 'UNSUPPORTED_FORMAT',
}

/** Files that differ on purpose: a dropout that is declared to be in training. */
const TRAINING = new Set(['Marabou__dropout_training_mode_true.onnx'])

/** What became of a file. */
interface Outcome {
  graph?: Graph
  error?: unknown
  missing?: string[]
}

function read(file: string): Outcome {
  const bytes = readFileSync(join(folder, file))
  try {
    const externalData = externalLocations(bytes).length === 0
      ? new Map()
      : readExternalData(dirname(join(folder, file)), bytes)
    const graph = readOnnx(bytes, { externalData })
    return { graph, missing: [...new Set(graph.nodes.map(node => node.op).filter(op => !isSupported(op)))] }
  } catch (error) {
    return { error }
  }
}

/**
 * Numbers for every input: as many examples as the file was exported for, since the original file is to take them too.
 */
function inputsFor(graph: Graph): Map<string, Tensor> {
  const fixed = /exported for (single examples|batches of (\d+))/.exec(graph.notes.join(' '))
  const n = fixed === null ? 3 : Number(fixed[2] ?? 1)
  return new Map(graph.inputs.map(({ name, dtype, shape }) => {
    const extents = shape.map(dim => (isBatch(dim) ? dim.outer * n * dim.inner : dim))
    return [name,
      tensor(dtype, extents,
        Array.from({ length: sizeOf(extents) }, (_, i) => (dtype === 'int64' ? i % 3 : Math.sin(7 * i + 1))))] as const
  }))
}

t.test('networks of many exporters', {
  skip: existsSync(folder) ? false : 'the collection of models (../shared/models) is missing',
}, async t => {
  const files = readdirSync(folder, { recursive: true }).map(String).filter(file => file.endsWith('.onnx')).sort()
  const outcomes = new Map(files.map(file => [file, read(file)] as const))

  t.test('every file becomes a graph or a typed error', async t => {
    const counts = new Map<string, number>()
    for (const [file, { error, missing = [] }] of outcomes) {
      if (error !== undefined && !(error instanceof LaplaceError)) t.fail(`${file}: an error without a type`, { error })
      const row = error instanceof LaplaceError
        ? `refused: ${error.name} ${error.code}`
        : missing.length === 0
        ? 'graph, all operators supported'
        : 'graph with operators that are not supported'
      counts.set(row, (counts.get(row) ?? 0) + 1)
      t.equal(error instanceof LaplaceError ? error.code : undefined, REFUSED[file],
        `${file}: ${
          error instanceof LaplaceError
            ? error.message
            : missing.length === 0
            ? 'graph'
            : `without ${missing.join(', ')}`
        }`)
    }
    t.comment(`${files.length} files`)
    for (const [row, count] of [...counts].sort()) t.comment(`${String(count).padStart(4)}  ${row}`)
  })

  t.test('the graphs compute what ONNX Runtime makes of the files', async t => {
    let [compared, alone] = [0, 0]
    for (const [file, { graph, missing = [] }] of outcomes) {
      if (graph === undefined || missing.length > 0 || TRAINING.has(file)) continue
      const inputs = inputsFor(graph)
      const precision = graph.inputs.some(input => input.dtype === 'float64') ? 'float64' : 'float32'
      let ours: ReadonlyMap<string, Tensor>
      try {
        ours = runGraph(graph, inputs, precision)
      } catch (error) {
        t.match(error, { name: 'GraphError', code: 'BATCH_AXIS' }, `${file}: mixes the examples`)
        continue
      }
      const originals = await outputsOf(readFileSync(join(folder, file)), inputs, file)
      // ONNX Runtime has no kernels for the oldest operators: there only the file that is written again is run.
      if (originals === undefined) alone++
      else compared++
      for (const theirs of [originals, await runInOnnxRuntime(writeOnnx(graph), inputs)]) {
        for (const name of theirs === undefined ? [] : graph.outputs) {
          // Of a file whose output has no axis for examples, each is computed alone and gets one.
          const [own, other] = [ours, theirs!].map(values =>
            values.get(name)?.shape.filter((n, axis) => axis > 0 || n !== 1)
          )
          t.same(other, own, `${file}: shape of ${name}`)
          t.ok(relativeDifference(ours.get(name)!.data, theirs!.get(name)!.data) < 1e-4, `${file}: ${name}`)
        }
      }
    }
    t.comment(`${compared} files were compared with the original, ${alone} with the written one only`)
    t.ok(compared >= 50)
  })
})

/**
 * What the original file computes, or undefined where ONNX Runtime does not run it. External data is not found from
 * bytes.
 */
async function outputsOf(bytes: Uint8Array, inputs: ReadonlyMap<string, Tensor>,
  file: string): Promise<Map<string, Tensor> | undefined> {
  if (file.startsWith('external/')) return undefined
  try {
    return await runInOnnxRuntime(bytes, inputs)
  } catch {
    return undefined
  }
}
