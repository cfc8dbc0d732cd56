/**
 * Runs onnx's node tests, for test_operators.py: one JSON line `{"name", "operators", "model", "inputs", "outputs"}` a
 * test on stdin (protobufs in base64), one JSON line `{"name", "operators", "outcome", "outcomes", "claimed"}` on
 * stdout.
 *
 * A test is tried as it is; with what is no real number among its inputs, and scalars, as constants (axes, shapes and
 * indices of files are that); and with all inputs as constants.
 */
import { createInterface } from 'node:readline'
import { readOnnx, readOnnxTensors } from 'polylaplace/adapters/onnx'
import { onnx } from '../../dist/adapters/onnx/schema.js'
import { toTensor } from '../../dist/adapters/tensors/convert.js'
import { runGraph } from '../../dist/core/engine/typescript.js'
import { supportedOperators } from '../../dist/core/ops/registry.js'
import { tensor } from '../../dist/core/tensor/tensor.js'

const LISTED = supportedOperators()

function varint(value) {
  const bytes = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 | 128)
  return Buffer.from([...bytes, value])
}

const field = (number, content) => Buffer.concat([varint(number * 8 + 2), varint(content.length), content])
const named = (bytes, name) => Buffer.concat([bytes, field(8, Buffer.from(name))])

/** A tensor, with its type in the file; undefined for text. */
function decoded(bytes) {
  const [value] = readOnnxTensors(field(7, field(5, named(bytes, 'value')))).values()
  return value === undefined ? undefined : { ...toTensor(value, 'value'), type: value.dtype }
}

/** Relative and absolute differences that are let pass, by the type of the expected values. */
const TOLERANCES = { float16: [1e-3, 1e-3], bfloat16: [1e-2, 1e-2] }

/** A network for a single example whose result has no axis of the examples gets one. */
function sameShape(found, expected) {
  const shape = found.length === expected.length + 1 && found[0] === 1 ? found.slice(1) : found
  return shape.length === expected.length && shape.every((n, i) => n === expected[i])
}

function difference(found, expected, exact) {
  if (!sameShape(found.shape, expected.shape)) {
    return `its shape is ${found.shape}; expected ${expected.shape}`
  }
  const most = expected.data.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 0)
  const [relative, absolute] = exact ? [1e-7, 0] : TOLERANCES[expected.type] ?? [1e-3, 1e-6 * Math.max(most, 0.1)]
  const at = expected.data.findIndex((value, i) => {
    const own = found.data[i]
    if (own === value || (Number.isNaN(own) && Number.isNaN(value))) return false
    return !(Math.abs(own - value) <= absolute + relative * Math.abs(value))
  })
  return at < 0 ? undefined : `element ${at} is ${found.data[at]}; expected ${expected.data[at]}`
}

function attempt({ operators, model, inputs, outputs }, isConstant) {
  const message = onnx.ModelProto.decode(Buffer.from(model, 'base64'))
  const { graph } = message
  const bytes = inputs.map(each => Buffer.from(each, 'base64'))
  const values = bytes.map(decoded)
  const expected = outputs.map(each => decoded(Buffer.from(each, 'base64')))
  if ([...values, ...expected].includes(undefined)) return 'refused: text'
  const fed = new Map()
  graph.input = graph.input.filter(({ name }, i) => {
    if (!isConstant(values[i], i)) fed.set(name, values[i])
    else graph.initializer.push(onnx.TensorProto.decode(named(bytes[i], name)))
    return fed.has(name)
  })
  const network = readOnnx(onnx.ModelProto.encode(message).finish(), { allowNonFinite: true })
  const given = new Map(network.inputs.map(({ name, dtype }) => {
    const { shape, data } = fed.get(name)
    return [name, tensor(dtype, shape, Array.from(data, Number))]
  }))
  const double = network.inputs.some(({ dtype }) => dtype === 'float64')
  const results = runGraph(network, given, double ? 'float64' : 'float32')
  const exact = operators.every(op => op === 'Cast' || op === 'CastLike')
  for (const [i, { name }] of graph.output.entries()) {
    const found = results.get(name)
    const problem = found === undefined ? 'is left out' : difference(found, expected[i], exact)
    if (problem !== undefined) return `wrong: ${name}: ${problem}`
  }
  return 'passed'
}

function outcomeOf(test, isConstant) {
  try {
    return attempt(test, isConstant)
  } catch (error) {
    return `refused: ${error.code ?? 'FAULT'}: ${String(error.message).replace(/ Supported are.*/, '')}`
  }
}

const WAYS = [() => false,
  ({ type, shape }, i, operators) =>
    !/float/.test(type) || shape.length === 0 || (operators.includes('Resize') && i > 0), () => true]

for await (const line of createInterface({ input: process.stdin })) {
  const test = JSON.parse(line)
  const outcomes = WAYS.map(way => outcomeOf(test, (value, i) => way(value, i, test.operators)))
  const outcome = outcomes.find(each => each.startsWith('wrong')) !== undefined
    ? 'wrong'
    : outcomes.includes('passed')
    ? 'passed'
    : 'refused'
  process.stdout.write(
    `${
      JSON.stringify({ name: test.name, operators: test.operators, outcome, outcomes,
        claimed: test.operators.every(op => LISTED.includes(op)), listed: LISTED })
    }\n`,
  )
}
