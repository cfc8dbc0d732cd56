/**
 * @file Gradients with respect to the input: of the outputs, and of J v for a direction v of the parameters, which is a
 * backward pass through the program of J v. With v = P^-1 J' they give those of the variance J P^-1 J'.
 */
import type { Engine, Program } from '../engine/engine.js'
import { GraphError, InternalError } from '../errors/errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Inputs } from '../network/input-rows.js'
import type { Network } from '../network/network.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import { placesIn, wholeSlots } from '../network/parameters.js'
import { isFloat } from '../ops/element-types.js'
import { type Precision, type Tensor, tensor } from '../tensor/tensor.js'
import { jvpProgram } from './jvp-program.js'
import { tangentsOf } from './linear-map.js'
import { vjpProgram } from './vjp-program.js'

/** What one example's outputs, and its J v, do when its input changes. */
export interface InputGradients {
  /** Numbers of an example's input. */
  readonly width: number
  /** df_c / dx of one example: the width of the input. */
  outputs(x: Inputs, c: number): Promise<Float64Array>
  /** d(J_c v) / dx of one example. @param v P numbers in the order of the slots */
  moved(x: Inputs, c: number, v: Float64Array): Promise<Float64Array>
  dispose(): void
}

/**
 * The programs of a network with one real input.
 * @throws GraphError NOT_DIFFERENTIABLE
 */
export function inputGradients({ graph, inputs, output }: Network, slots: readonly ParameterSlot[], engine: Engine,
  precision: Precision): InputGradients {
  const [input] = inputs
  if (inputs.length !== 1 || !isFloat(input.dtype)) {
    throw new GraphError('NOT_DIFFERENTIABLE',
      'Gradients with respect to the input are for networks with one input of real numbers.', {
      inputs: inputs.map(({ name }) => name),
    })
  }
  const whole = wholeSlots(graph, slots)
  const places = placesIn(whole, slots)
  const plain = vjpProgram(graph, output, [input.name], 1)
  const forward = jvpProgram(graph, output, whole.map(slot => slot.name), 1)
  const builder = GraphBuilder.from(forward.graph, precision)
  const product = builder.node('Reshape', [forward.product, builder.integers([-1, forward.outputs])])
  const second = vjpProgram(builder.build([product]), product, [input.name], 1)
  const width = input.shape.reduce<number>((size, dim) => (typeof dim === 'number' ? size * dim : size), 1)
  const compiled = new Map<string, Promise<Program>>()
  const run = async (name: string, program: typeof plain, values: Inputs, c: number): Promise<Float64Array> => {
    const own = compiled.get(name) ?? engine.compile(program.graph, precision)
    compiled.set(name, own)
    const seed = tensor(precision, [1, 1, forward.outputs],
      Float64Array.from({ length: forward.outputs }, (_, at) => Number(at === c)))
    const results = await (await own).run(new Map<string, Tensor>([...values, [program.seed, seed]]))
    const gradient = program.gradients.get(input.name)
    // An output that does not depend on the input has no gradient.
    if (gradient === undefined) return new Float64Array(width)
    const found = results.get(gradient)
    if (found === undefined) throw new InternalError('The program has no gradient.')
    return Float64Array.from(found.data)
  }
  return {
    width,
    outputs: (x, c) => run('outputs', plain, x, c),
    moved(x, c, v) {
      const all = new Float64Array(parameterCount(whole))
      places.forEach((place, i) => {
        all[place] = v[i]
      })
      return run('moved', second, new Map([...x, ...tangentsOf(forward, whole, graph, all, precision)]), c)
    },
    dispose() {
      for (const program of compiled.values()) {
        void program.then(ready => {
          ready.dispose()
        }, () => undefined)
      }
    },
  }
}
