/**
 * @file An MLflow folder around an ONNX model: `mlflow.onnx.load_model` and `mlflow models serve` take it. No code of
 * this library is in it.
 *
 * https://mlflow.org/docs/latest/ml/model: the file MLmodel, the model, and what its environment needs.
 */
import { InternalError } from '../../core/errors/errors.js'
import { type Dim, type Graph, isBatch } from '../../core/graph/graph.js'
import { LIBRARY_VERSION } from '../../core/options/library-version.js'
import { inferTypes } from '../../core/passes/infer.js'
import type { DType } from '../../core/tensor/tensor.js'

/** What the folder says of the model. */
export interface FolderSubject {
  readonly graph: Graph
  readonly metadata: Readonly<Record<string, string>>
}

const REQUIREMENTS = ['mlflow', 'onnx', 'onnxruntime', 'numpy']
const PYTHON = '3.11'

/** The files of the folder by their path in it, without the model itself, which is `model.onnx`. */
export function mlflowFiles({ graph, metadata }: FolderSubject): Map<string, string> {
  const types = inferTypes(graph)
  const signature = JSON.stringify(graph.inputs.map(specification))
  const results = JSON.stringify(graph.outputs.map(name => {
    const type = types.get(name)
    if (type === undefined) throw new InternalError(`The output '${name}' has no type.`)
    return specification({ name, ...type })
  }))
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

/** An array of the signature, -1 for the axis of the batch. The names of dtypes are numpy's. */
function specification(
  { name, dtype, shape }: { readonly name: string, readonly dtype: DType, readonly shape: readonly Dim[] },
): object {
  return { name, type: 'tensor', 'tensor-spec': { dtype, shape: shape.map(dim => (isBatch(dim) ? -1 : dim)) } }
}
