/**
 * @file An MLflow folder around an ONNX model: `mlflow.onnx.load_model` and `mlflow models serve` take it. No code of
 * this library is in it.
 *
 * https://mlflow.org/docs/latest/ml/model: the file MLmodel, the model, and what its environment needs.
 */
import type { GraphInput } from '../../core/graph/graph.js'
import { isBatch } from '../../core/graph/graph.js'
import { LIBRARY_VERSION } from '../../core/options/library-version.js'

/** What the folder says of the model. */
export interface FolderSubject {
  readonly inputs: readonly GraphInput[]
  readonly outputs: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
}

const REQUIREMENTS = ['mlflow', 'onnx', 'onnxruntime', 'numpy']
const PYTHON = '3.11'
const DTYPES = { float32: 'float32', float64: 'float64', int64: 'int64', bool: 'bool' } as const

/** The files of the folder by their path in it, without the model itself, which is `model.onnx`. */
export function mlflowFiles({ inputs, outputs, metadata }: FolderSubject): Map<string, string> {
  const signature = JSON.stringify(
    inputs.map(({ name, dtype, shape }) => ({ name, type: 'tensor',
      'tensor-spec': { dtype: DTYPES[dtype], shape: shape.map(dim => (isBatch(dim) ? -1 : dim)) } })
    ),
  )
  const results = JSON.stringify(
    outputs.map(name => ({ name, type: 'tensor',
      'tensor-spec': { dtype: name === 'sets' ? 'bool' : metadata['polylaplace.precision'] ?? 'float32',
        shape: [-1] } })
    ),
  )
  const model = [
    'artifact_path: model',
    'flavors:',
    '  onnx:',
    '    code: null',
    '    data: model.onnx',
    '    onnx_version: null',
    '    providers:',
    '    - CPUExecutionProvider',
    '  python_function:',
    '    data: model.onnx',
    '    env:',
    '      conda: conda.yaml',
    '      virtualenv: python_env.yaml',
    '    loader_module: mlflow.onnx',
    `    python_version: '${PYTHON}'`,
    'metadata:',
    ...Object.entries(metadata).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`),
    `  polylaplace.exporter: ${JSON.stringify(LIBRARY_VERSION)}`,
    'signature:',
    `  inputs: ${JSON.stringify(signature)}`,
    `  outputs: ${JSON.stringify(results)}`,
    '  params: null',
    '',
  ].join('\n')
  return new Map([
    ['MLmodel', model],
    ['requirements.txt', `${REQUIREMENTS.join('\n')}\n`],
    ['conda.yaml',
      `${
        ['channels:', '- conda-forge', 'dependencies:', `- python=${PYTHON}`, '- pip', '- pip:',
          ...REQUIREMENTS.map(name => `  - ${name}`), 'name: mlflow-env'].join('\n')
      }\n`],
    ['python_env.yaml',
      `${
        [`python: '${PYTHON}'`, 'build_dependencies:', '- pip', 'dependencies:', '- -r requirements.txt'].join('\n')
      }\n`],
  ])
}
