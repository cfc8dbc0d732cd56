/** @file Posteriors as ONNX models over the wire: the model's bytes and what belongs beside it. */
import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import type { DecodedMap } from '../../../protocol/frames/decoded-map.js'
import { caseFiles, createCaller } from './method-calls.js'

t.test('a model, and on request its card, picture and folder', async t => {
  const { bytes, x, y, xTest, yTest } = caseFiles('classification-4')
  const caller = createCaller()
  const { handle: model } = await caller.call('readNetwork', { bytes })
  const { handle } = await caller.call('fit', { model: model as string, options: { likelihood: 'classification' }, x,
    y })
  const posterior = handle as string
  const { files } = await caller.call('toOnnx', { posterior, options: { outputs: ['mean', 'epistemic'], opset: 18 } })
  t.same(Object.keys(files as DecodedMap), ['model.onnx'])
  t.same(readOnnx((files as DecodedMap)['model.onnx'] as Uint8Array).outputs, ['mean', 'epistemic'])
  const beside = await caller.call('toOnnx', { posterior, options: {}, stem: 'trees', card: true, mlflow: true,
    x: xTest, y: yTest })
  t.same(Object.keys(beside['files'] as DecodedMap).sort(), ['trees.calibration.svg', 'trees.md',
    'trees.mlflow/MLmodel', 'trees.mlflow/README.md', 'trees.mlflow/conda.yaml', 'trees.mlflow/model.onnx',
    'trees.mlflow/python_env.yaml', 'trees.mlflow/requirements.txt', 'trees.mlflow/trees.calibration.svg',
    'trees.onnx'])
  const described = new TextDecoder().decode(
    (beside['files'] as DecodedMap)['trees.mlflow/MLmodel'] as Uint8Array,
  )
  const outputs = /^ {2}outputs: (".*")/m.exec(described)?.[1] ?? ''
  const specifications: { name: string, 'tensor-spec': unknown }[] = JSON.parse(JSON.parse(outputs))
  t.match(Object.fromEntries(specifications.map(own => [own.name, own['tensor-spec']])), {
    mean: { dtype: 'float64', shape: [-1, 4] },
    probabilities: { dtype: 'float64', shape: [-1, 4] },
    novelty: { dtype: 'float64', shape: [-1] },
  })
  await t.rejects(caller.call('toOnnx', { posterior, options: { colour: 'red' } }), { code: 'UNKNOWN_OPTION' })
  await t.rejects(caller.call('toOnnx', { posterior, options: { outputs: ['sets'] } }), { code: 'BAD_COMBINATION' })
})
