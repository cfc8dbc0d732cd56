/** @file 50 of the list of attacks: arrays with a zero extent beside a huge one; and biases of unusual shapes. */
import t from 'tap'
import { readNetwork } from '../../../adapters/network/index.js'
import { forward } from '../../../core/answer/forward.js'
import { LaplaceError } from '../../../core/errors/errors.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { tensorFromWire } from '../../../protocol/frames/arrays.js'
import { fixture } from '../../support/fixture.js'
import * as p from '../../support/pickle-writer.js'
import { zip } from '../../support/zip-writer.js'
import { array, chain, dense, file as bson } from '../flux/julia-writer.js'
import * as b from '../onnx/onnx-bytes.js'
import { raw } from '../safetensors/write.js'

const SHAPES = [[2 ** 40, 0], [0, 2 ** 40], [2 ** 31, 0], [0, 2 ** 31 - 1], [3e7, 0], [0, 3e7]] as const

/** Files whose first weight has this shape and no numbers. */
function files([rows, columns]: readonly [number, number]): Record<string, Uint8Array> {
  const weight = p.call('torch._utils', '_rebuild_tensor_v2', p.storage('0', 0), p.int(0),
    p.tuple(p.long(rows), p.long(columns)), p.ints([1, 1]), p.FALSE, p.orderedDict())
  return {
    safetensors: raw(`{"0.weight":{"dtype":"F32","shape":[${rows},${columns}],"data_offsets":[0,0]}}`),
    onnx: b.smallModel({ nodes: [b.node('MatMul', ['x', 'w'], ['y'])], tensors: [b.floats('w', [rows, columns], [])] }),
    transposed: b.smallModel({ nodes: [b.node('Gemm', ['x', 'w'], ['y'], { transB: 1 })],
      tensors: [b.floats('w', [rows, columns], [])] }),
    flux: bson({ model: chain(dense(rows, columns, [], false)) }),
    unused: bson({ model: chain(dense(1, 2, [1, 2], [0])), other: array([rows, columns], []) }),
    torch: zip([{ name: 'm/data.pkl', data: p.pickle(p.dict({ '0.weight': weight })) }, { name: 'm/version',
      data: p.ascii('3\n') }, { name: 'm/data/0', data: new Uint8Array() }]),
  }
}

t.test('50 weights with a zero extent beside a huge one are refused, at once', async t => {
  for (const shape of SHAPES) {
    for (const [format, bytes] of Object.entries(files(shape))) {
      try {
        const network = await readNetwork(bytes, format === 'safetensors' || format === 'torch'
          ? { activation: 'relu' }
          : {})
        await laplace(network, { likelihood: 'regression' }).fit(float64([2, 2], [1, 2, 3, 4]), float64([2, 1], [1, 2]))
        t.equal(format, 'unused')
      } catch (error) {
        t.ok(error instanceof LaplaceError && error.code !== 'INTERNAL', `${format} ${shape.join()}: ${String(error)}`)
      }
    }
    const values = { dtype: 'float64' as const, shape: [...shape], data: new Float64Array() }
    const network = await readNetwork(b.smallModel())
    await t.rejects(laplace(network, { likelihood: 'regression' }).fit(values, values), { code: 'EMPTY_DATA' })
    for (const order of ['C', 'F']) {
      t.same(tensorFromWire({ dtype: 'f64', shape: [...shape], order, data: new Uint8Array() }, 'x').data.length, 0)
    }
  }
})

/** Computed by ONNX Runtime, at x = sin(0), sin(1), ..., of 4 rows. */
const BIASED = {
  'bias_Gemm_1_scalar.onnx': [4.541577339172363, 1.1713690757751465, 2.263026237487793, 3.2748427391052246],
  'bias_Gemm_3_1x3.onnx': [-1.6888155937194824, 2.0286850929260254, -3.649663209915161, -1.8308885097503662,
    1.281459927558899, -3.3225479125976562, 0.7217164635658264, -1.7702040672302246, 1.5565617084503174,
    -1.9255123138427734, 2.430718421936035, -4.244843482971191],
  'bias_MatMul_3_1x3.onnx': [-0.08552086353302002, -3.0461108684539795, -2.504124164581299, 2.273359775543213,
    0.4572192430496216, 2.809037685394287, -1.1327471733093262, -2.9726812839508057, -2.469618320465088,
    1.311867594718933, -1.6202709674835205, 0.1258319765329361],
}

t.test('biases that are scalars, or rows of a matrix, are added as ONNX Runtime does', async t => {
  const x = float64([4, 4], Array.from({ length: 16 }, (_, i) => Math.sin(i)))
  for (const [file, expected] of Object.entries(BIASED)) {
    const { data } = await forward(await readNetwork(fixture(`attacks/${file}`)), x)
    t.equal(data.length, expected.length)
    expected.forEach((value, i) =>
      t.ok(Math.abs(Number(data[i]) - value) < 1e-6 * (1 + Math.abs(value)), `${file} ${i}`)
    )
  }
})
