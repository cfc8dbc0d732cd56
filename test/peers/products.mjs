/**
 * Products with the Jacobian of an ONNX file's network, for the tests in Python. One JSON line a network on stdin:
 * `{"path", "chosen", "x", "u", "tangents"}`, `chosen` being the names of the parameters or null, arrays
 * `{"shape", "data", "dtype"}`, and tangents those of `x` and of parameters by name. One JSON line on stdout:
 * `{"parameters", "f", "product", "gradients"}`, f and the product N x C, gradients summed over the examples;
 * or `{"error"}`.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { readOnnx } from 'polylaplace/adapters/onnx'
import { tensor } from 'polylaplace/core'
import { runGraph } from '../../dist/core/engine/typescript.js'
import { jvpProgram } from '../../dist/core/programs/jvp-program.js'
import { vjpProgram } from '../../dist/core/programs/vjp-program.js'

const array = ({ shape, data, dtype = 'float64' }) => tensor(dtype, shape, data)

function answer({ path, x, u, tangents, chosen }) {
  const graph = readOnnx(new Uint8Array(readFileSync(path)), chosen === null ? {} : { parameters: chosen })
  const [output] = graph.outputs
  const known = ['x', ...graph.parameters.map(({ name }) => name)]
  const wrt = Object.keys(tangents).filter(name => known.includes(name))
  const forward = jvpProgram(graph, output, wrt, 1)
  const inputs = new Map([['x', array(x)]])
  for (const [name, input] of forward.tangents) {
    const { shape, data } = tangents[name]
    inputs.set(input, tensor('float64', [1, ...shape], data))
  }
  const results = runGraph(forward.graph, inputs, 'float64')
  const backward = vjpProgram(graph, output, wrt, 1)
  const seed = tensor('float64', [1, u.shape[0], u.data.length / u.shape[0]], u.data)
  const found = runGraph(backward.graph, new Map([['x', array(x)], [backward.seed, seed]]), 'float64')
  const gradients = Object.fromEntries([...backward.gradients].map(([name, key]) => {
    const sum = new Array(tangents[name].data.length).fill(0)
    found.get(key).data.forEach((value, i) => (sum[i % sum.length] += value))
    return [name, sum]
  }))
  const list = name => Array.from(results.get(name).data)
  return { parameters: wrt.filter(name => name !== 'x'), f: list(forward.output), product: list(forward.product),
    gradients }
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply
  try {
    reply = answer(JSON.parse(line))
  } catch (error) {
    reply = { error: error.stack }
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`)
}
