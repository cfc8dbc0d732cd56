/**
 * @file If, Loop and Scan by constants and shapes: values against ONNX Runtime, derivatives against differences,
 * weights of bodies among the parameters, each once.
 */
import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { isSupported } from '../../../core/ops/registry.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { checkGraph } from '../../core/ops/check-derivative.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'
import { numbers, runInOnnxRuntime } from './onnxruntime.js'

const doubles = (name: string, dims: readonly number[], from = 0): Uint8Array =>
  b.tensor({ name, dims, type: b.DOUBLE, raw: new Uint8Array(Float64Array.from(numbers(sizeOf(dims) + from).slice(from))
    .buffer) })
const truth = (name: string, value: number): Uint8Array => b.tensor({ name, type: b.BOOL, raw: Uint8Array.of(value) })
/** A value of a body, of a type and any shape. */
const any = (name: string, type = b.DOUBLE): Uint8Array =>
  b.message([[1, name], [2, b.message([[1, b.message([[1, type]])]])]])
const scalar = (name: string, type: number): Uint8Array => b.value(name, [], type)

interface BodyFields {
  nodes: Uint8Array[]
  inputs?: Uint8Array[]
  outputs: Uint8Array[]
  tensors?: Uint8Array[]
}
const body = (fields: BodyFields): { graph: Uint8Array } => ({ graph: b.graph(fields) })
const branch = (op: string, of = 'x', ...more: Uint8Array[]): { graph: Uint8Array } =>
  body({ nodes: [b.node(op, [of], ['z'])], outputs: [any('z')], tensors: more })

/** state <- tanh(state w + c), with the weights in the body or around it. */
const step = (tensors: Uint8Array[] = [], more: Uint8Array[] = [], outputs: Uint8Array[] = []): { graph: Uint8Array } =>
  body({
    nodes: [b.node('MatMul', ['state', 'w'], ['p']), b.node('Add', ['p', 'c'], ['q']), b.node('Tanh', ['q'], ['next']),
      b.node('Identity', ['go'], ['on']), ...more],
    inputs: [scalar('i', b.INT64), scalar('go', b.BOOL), any('state')],
    outputs: [scalar('on', b.BOOL), any('next'), ...outputs],
    tensors,
  })
const WEIGHTS = [doubles('w', [4, 4]), doubles('c', [4], 3)]

const branches = { then_branch: branch('Tanh'), else_branch: branch('Sigmoid') }

interface Case {
  nodes: Uint8Array[]
  tensors?: Uint8Array[]
  x?: number[]
  parameters?: string[]
}

const CASES: Record<string, Case> = {
  'If by a constant that is true': { nodes: [b.node('If', ['yes'], ['y'], branches)], tensors: [truth('yes', 1)] },
  'If by a constant that is false': { nodes: [b.node('If', ['no'], ['y'], branches)], tensors: [truth('no', 0)] },
  'If by a shape': {
    nodes: [b.node('Shape', ['x'], ['s']), b.node('Gather', ['s', 'one'], ['e']),
      b.node('Greater', ['e', 'three'], ['long']), b.node('If', ['long'], ['y'], branches)],
    tensors: [b.integers('one', [], [1]), b.integers('three', [], [3])],
  },
  'If by the number of axes': {
    nodes: [b.node('Shape', ['x'], ['s']), b.node('Size', ['s'], ['e']), b.node('Equal', ['e', 'three'], ['long']),
      b.node('If', ['long'], ['y'], branches)],
    tensors: [b.integers('three', [], [3])],
  },
  'If within If': { tensors: [truth('yes', 1), truth('no', 0)], nodes: [b.node('If', ['yes'], ['y'], {
    then_branch: body({ nodes: [b.node('Neg', ['x'], ['m']), b.node('If', ['no'], ['z'], {
      then_branch: branch('Tanh', 'm'),
      else_branch: branch('Sin', 'm'),
    })], outputs: [any('z')] }),
    else_branch: branch('Sigmoid'),
  })] },
  'weights in the branch that is taken': { tensors: [truth('yes', 1)], parameters: ['w'],
    nodes: [b.node('If', ['yes'], ['y'], {
      then_branch: body({ nodes: [b.node('MatMul', ['x', 'w'], ['z'])], outputs: [any('z')],
        tensors: [doubles('w', [4, 3])] }),
      else_branch: body({ nodes: [b.node('MatMul', ['x', 'v'], ['z'])], outputs: [any('z')],
        tensors: [doubles('v', [4, 2])] }),
    })] },
  'Loop with a state and weights around it': { nodes: [b.node('Loop', ['times', '', 'x'], ['y'], { body: step() })],
    tensors: [...WEIGHTS, b.integers('times', [], [3])], parameters: ['w', 'c'] },
  'Loop with weights in its body, which are one': {
    nodes: [b.node('Loop', ['times', '', 'x'], ['y'], { body: step(WEIGHTS) })],
    tensors: [b.integers('times', [], [3])],
    parameters: ['w', 'c'],
  },
  'Loop that gives every state': { tensors: [...WEIGHTS, b.integers('times', [], [3])], parameters: ['w', 'c'],
    nodes: [b.node('Loop', ['times', '', 'x'], ['last', 'all'], {
      body: step([], [b.node('Neg', ['next'], ['given'])], [any('given')]),
    }), b.node('Transpose', ['all'], ['y'], { perm: [1, 0, 2] })] },
  'Loop until its condition is false': { tensors: [truth('yes', 1), b.integers('two', [], [2]), ...WEIGHTS],
    parameters: ['w', 'c'], nodes: [b.node('Loop', ['', 'yes', 'x'], ['y'], { body: body({
      nodes: [b.node('MatMul', ['state', 'w'], ['p']), b.node('Add', ['p', 'c'], ['next']),
        b.node('Less', ['i', 'two'], ['on'])],
      inputs: [scalar('i', b.INT64), scalar('go', b.BOOL), any('state')],
      outputs: [scalar('on', b.BOOL), any('next')],
    }) })] },
  'Loop that counts in a state': { tensors: [b.integers('times', [], [4]), b.integers('start', [], [1])],
    nodes: [b.node('Loop', ['times', '', 'start', 'x'], ['n', 'y'], { body: body({
      nodes: [b.node('Add', ['k', 'i'], ['m']), b.node('Cast', ['m'], ['f'], { to: b.DOUBLE }),
        b.node('Mul', ['state', 'f'], ['p']), b.node('Sin', ['p'], ['next']), b.node('Identity', ['go'], ['on'])],
      inputs: [scalar('i', b.INT64), scalar('go', b.BOOL), any('k', b.INT64), any('state')],
      outputs: [scalar('on', b.BOOL), any('m', b.INT64), any('next')],
    }) })] },
  'Loop by the length of an axis, within which is an If': { tensors: [b.integers('one', [], [1]), ...WEIGHTS],
    parameters: ['w', 'c'],
    nodes: [b.node('Shape', ['x'], ['s']), b.node('Gather', ['s', 'one'], ['e']),
      b.node('Loop', ['e', '', 'x'], ['y'], {
        body: body({
          nodes: [b.node('Equal', ['i', 'one'], ['second']), b.node('If', ['second'], ['next'], {
            then_branch: body({ nodes: [b.node('MatMul', ['state', 'w'], ['z'])], outputs: [any('z')] }),
            else_branch: body({ nodes: [b.node('Add', ['state', 'c'], ['z'])], outputs: [any('z')] }),
          }), b.node('Identity', ['go'], ['on'])],
          inputs: [scalar('i', b.INT64), scalar('go', b.BOOL), any('state')],
          outputs: [scalar('on', b.BOOL), any('next')],
        }),
      })] },
  'Loop within a Loop': { tensors: [b.integers('times', [], [2]), ...WEIGHTS], parameters: ['w', 'c'],
    nodes: [b.node('Loop', ['times', '', 'x'], ['y'], { body: body({
      nodes: [b.node('Loop', ['times', '', 'outer'], ['next'], { body: step() }), b.node('Identity', ['run'], ['on'])],
      inputs: [scalar('k', b.INT64), scalar('run', b.BOOL), any('outer')],
      outputs: [scalar('on', b.BOOL), any('next')],
    }) })] },
  'Scan over an axis, forwards': { x: [3, 4], tensors: WEIGHTS, parameters: ['w', 'c'],
    nodes: [b.node('ReduceSum', ['x', 'one'], ['sum'], { keepdims: 0 }), b.node('Scan', ['sum', 'x'], ['last', 'y'], {
      num_scan_inputs: 1,
      scan_input_axes: [1],
      scan_output_axes: [1],
      body: body({
        nodes: [b.node('MatMul', ['state', 'w'], ['p']), b.node('Add', ['p', 'each'], ['q']),
          b.node('Add', ['q', 'c'], ['r']), b.node('Tanh', ['r'], ['next']), b.node('Mul', ['next', 'next'], ['out'])],
        inputs: [any('state'), any('each')],
        outputs: [any('next'), any('out')],
      }),
    })] },
  'Scan over an axis, backwards, with weights in its body': { x: [3, 4], parameters: ['w', 'c'],
    nodes: [b.node('ReduceSum', ['x', 'one'], ['sum'], { keepdims: 0 }), b.node('Scan', ['sum', 'x'], ['last', 'y'], {
      num_scan_inputs: 1,
      scan_input_axes: [-2],
      scan_input_directions: [1],
      scan_output_axes: [-1],
      scan_output_directions: [1],
      body: body({ tensors: WEIGHTS,
        nodes: [b.node('MatMul', ['state', 'w'], ['p']), b.node('Add', ['p', 'each'], ['q']),
          b.node('Add', ['q', 'c'], ['r']), b.node('Tanh', ['r'], ['next']), b.node('Identity', ['next'], ['out'])],
        inputs: [any('state'), any('each')], outputs: [any('next'), any('out')] }),
    })] },
}

for (const [name, { nodes, tensors = [], x = [4], parameters = [] }] of Object.entries(CASES)) {
  const one = tensors.length > 0 && name.includes('Loop by') ?
    [] :
    [b.integers(name.includes('If by a shape') ? 'other' : 'one', [1], [1])]
  const bytes = b.model({ nodes, tensors: [...tensors, ...one], opset: 17, ir: 8,
    inputs: [b.value('x', ['n', ...x], b.DOUBLE)], outputs: [any('y')] })
  const graph = readOnnx(bytes)
  await t.test(name, async t => {
    t.same(graph.nodes.filter(({ op }) => !isSupported(op)), [])
    t.same(graph.parameters.map(each => each.name).sort(), [...parameters].sort())
    const shape = [3, ...x]
    const fed = new Map([['x', tensor('float64', shape, numbers(sizeOf(shape)))]])
    const [ours, theirs] = [runGraph(graph, fed, 'float64').get('y')!, (await runInOnnxRuntime(bytes, fed)).get('y')!]
    t.same(ours.shape, theirs.shape)
    t.ok(relativeDifference(ours.data, theirs.data) < 1e-10, String(relativeDifference(ours.data, theirs.data)))
  })
  await checkGraph(name, graph, { tolerance: 1e-6 })
}
