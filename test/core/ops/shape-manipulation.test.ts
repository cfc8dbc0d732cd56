/** @file Derivatives of operators that change a value's shape alone, with the examples on any axis, or on none. */
import t from 'tap'
import type { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Dim, type Node } from '../../../core/graph/graph.js'
import type { KernelContext } from '../../../core/ops/operator.js'
import { operatorFor } from '../../../core/ops/registry.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

type Change = (b: GraphBuilder, value: string) => string
const reshape = (...target: number[]): Change => (b, value) => b.node('Reshape', [value, b.integers(target)])
const transpose = (...perm: number[]): Change => (b, value) => b.node('Transpose', [value], { perm })
const axes = (op: 'Squeeze' | 'Unsqueeze' | 'Expand', ...numbers: number[]): Change => (b, value) =>
  b.node(op, [value, b.integers(numbers)])

/** The square of an input in another shape. */
const ofInput = (name: string, dims: readonly Dim[], change: Change): Promise<void> =>
  checkDerivative(name, b => {
    const y = change(b, b.input('x', dims))
    return b.node('Mul', [y, y])
  })

await ofInput('Reshape', [BATCH, 2, 6], reshape(-1, 3, 4))
await ofInput('Reshape that merges the examples with what is behind', [BATCH, 2, 6], reshape(-1, 3))
await ofInput('Reshape that merges the examples with what is in front', [2, BATCH, 6], reshape(-1, 3, 2))
await ofInput('Reshape that takes the examples apart', [{ outer: 2, inner: 3 }, 4], reshape(2, -1, 12))
await ofInput('Flatten', [BATCH, 2, 3], (b, value) => b.node('Flatten', [value]))
await ofInput('Flatten of everything in front of the last axis', [2, BATCH, 3],
  (b, value) => b.node('Flatten', [value], { axis: 2 }))
await ofInput('Squeeze', [BATCH, 1, 3, 1], axes('Squeeze', 1, -1))
await ofInput('Unsqueeze', [3, BATCH], axes('Unsqueeze', 0, -1))
await ofInput('Transpose', [BATCH, 2, 3], transpose(2, 0, 1))
await ofInput('Transpose of everything', [2, BATCH, 3], (b, value) => b.node('Transpose', [value]))
await ofInput('Expand', [BATCH, 1, 2], axes('Expand', 2, 1, 3, 1))

/** The product of an input with a parameter in another shape. */
const ofParameter = (name: string, shape: number[], change: Change, dims: readonly Dim[]): Promise<void> =>
  checkDerivative(`${name} of a parameter`, b => {
    const w = change(b, b.parameter('w', draw(...shape)))
    return b.node('Mul', [b.node('Mul', [w, w]), b.input('x', dims)])
  })

await ofParameter('Reshape', [2, 6], reshape(3, -1), [BATCH, 3, 4])
await ofParameter('Flatten', [2, 2, 3], (b, value) => b.node('Flatten', [value]), [BATCH, 2, 6])
await ofParameter('Squeeze', [1, 3], axes('Squeeze', 0), [BATCH, 3])
await ofParameter('Unsqueeze', [2, 3], axes('Unsqueeze', 1), [2, BATCH, 3])
await ofParameter('Transpose', [2, 3], transpose(1, 0), [BATCH, 3, 2])
await ofParameter('Expand', [1, 3], axes('Expand', 2, 1), [2, BATCH, 2, 3])

t.test('Reshape of a value has the shape that was inferred, and is refused where none was', t => {
  const node: Node = { op: 'Reshape', name: '', inputs: ['x', 'target'], outputs: ['y'], attributes: {} }
  const { infer, run } = operatorFor('Reshape')
  const outcome = (shape: () => readonly Dim[] | undefined): unknown => {
    try {
      return shape()
    } catch {
      return 'refused'
    }
  }
  const extents = [-3, -2, -1, 0, 1, 2, 3, 6]
  const random = randomGenerator(3)
  const pick = (from: readonly number[]): number => from[Math.floor(random.uniform() * from.length)]!
  for (let trial = 0; trial < 3000; trial++) {
    const shape = Array.from({ length: pick([0, 1, 2, 3]) }, () => pick([0, 1, 2, 3, 6]))
    const target = Array.from({ length: pick([0, 1, 2, 3, 4]) }, () => pick(extents))
    const x = tensor('float64', shape, new Float64Array(shape.reduce((size, extent) => size * extent, 1)))
    const wanted = tensor('int64', [target.length], Float64Array.from(target))
    const inferred = outcome(() => infer(node, [x, { ...wanted, dims: target }])[0]?.shape)
    const made = outcome(() => run(node, [x, wanted], {} as KernelContext)[0]?.shape)
    if (JSON.stringify(made) !== JSON.stringify(inferred)) t.same(made, inferred, `${shape.join()} to ${target.join()}`)
  }
  t.end()
})
