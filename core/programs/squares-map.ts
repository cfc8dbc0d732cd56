/** @file The diagonal of H in other coordinates, summed over the rows of a batch. */
import { estimateRun } from '../engine/estimate-memory.js'
import { gemm } from '../kernels/linear-algebra.js'
import type { Inputs } from '../network/input-rows.js'
import { lastLayerShape } from '../network/linear-shape.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import type { Evaluator, Seeds } from './evaluator.js'
import { realData, realResult, release } from './results.js'
import { layerSquares, type RotatedTensor, type SquaresDescription, squaresProgram } from './squares-program.js'

/** The sum of squares of all gradients in orthonormal bases. */
export interface SquaresMap {
  /** Bytes of intermediate values of one example. */
  readonly bytes: number
  /** Adds those of a batch to P numbers, tensor by tensor. */
  add(x: Inputs, examples: number, sum: Float64Array): Promise<void>
  dispose(): void
}

/**
 * The squares of the gradients that some seeds give: the columns of a root of Lambda.
 * @param tensors the bases of every slot
 * @throws GraphError NOT_DIFFERENTIABLE
 */
export function squaresMap(evaluator: Evaluator, seeds: Seeds, tensors: readonly RotatedTensor[]): SquaresMap {
  return evaluator.subset === 'all'
    ? ofNetwork(evaluator, seeds, tensors)
    : ofLastLayer(evaluator, seeds, tensors)
}

function ofNetwork({ factorsProgram, engine, precision, slots }: Evaluator, seeds: Seeds,
  tensors: readonly RotatedTensor[]): SquaresMap {
  const program = squaresProgram(factorsProgram(seeds.count), tensors, precision)
  const { seed, output, outputs } = program
  const compiled = engine.compile(program.graph, precision)
  return {
    bytes: estimateRun(program.graph, 1, precision).bytes,
    async add(x, examples, sum) {
      const results = await (await compiled).run(x, {
        deferred: { name: seed, from: output,
          compute: f => tensor(precision, [seeds.count, examples, outputs], seeds.from(realData(f), examples)) },
      })
      addSquares(program.squares, results, examples, slots, sum)
    },
    dispose: () => {
      release(compiled)
    },
  }
}

function ofLastLayer({ features, engine, precision, slots, workingBytes }: Evaluator, seeds: Seeds,
  tensors: readonly RotatedTensor[]): SquaresMap {
  const layer = lastLayerShape(slots)
  const program = layerSquares(layer, seeds.count,
    slots.map(({ name }, i) => ({ name, role: i === layer.weight ? 'weight' as const : 'bias' as const })), tensors,
    precision)
  const compiled = engine.compile(program.graph, precision)
  return {
    bytes: Math.max(workingBytes(0, 1), estimateRun(program.graph, 1, precision).bytes),
    async add(x, examples, sum) {
      const own = await features(x)
      const given: [string, Tensor][] = [[program.a, tensor(precision, [examples, 1, layer.in], own.features)], [
        program.g,
        tensor(precision, [seeds.count, examples, 1, layer.out], seeds.from(own.f, examples)),
      ]]
      addSquares(program.squares, await (await compiled).run(new Map(given)), examples, slots, sum)
    },
    dispose: () => {
      release(compiled)
    },
  }
}

function addSquares(squares: readonly SquaresDescription[], results: ReadonlyMap<string, Tensor>, examples: number,
  slots: Evaluator['slots'], sum: Float64Array): void {
  for (const own of squares) {
    const { offset, size } = slots[own.parameter]
    const target = sum.subarray(offset, offset + size)
    if (own.kind === 'outer') {
      gemm(true, false, own.out, own.in, examples, 1, realResult(results, own.g), realResult(results, own.a), 1, target)
    } else {
      const rows = realResult(results, own.squares)
      for (let at = 0; at < rows.length; at += size) for (let i = 0; i < size; i++) target[i] += rows[at + i]
    }
  }
}
