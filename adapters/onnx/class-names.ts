/** @file The names of classes that a file of a classifier holds, which its network has no use for. */
import { STRING } from './element-types.js'
import type { NodeMessage, TensorMessage } from './messages.js'
import { decodeOnnx } from './open.js'
import { readTensor, toCoreTensor } from './tensors.js'

/** The attributes in which operators of ai.onnx.ml keep the names of classes. */
const ATTRIBUTES: readonly string[] = ['classlabels_strings', 'classlabels_int64s', 'classlabels_ints']

const text = new TextDecoder()

/**
 * The classes in the order of the network's outputs, as ZipMap, ArrayFeatureExtractor and classifiers of ai.onnx.ml
 * list them; undefined where a file names none, or different ones.
 * @throws UntrustedInputError as `readOnnx` does
 */
export function onnxClasses(bytes: Uint8Array): readonly string[] | undefined {
  const { graph } = decodeOnnx(bytes)
  const tensors = new Map((graph.initializer ?? []).map(tensor => [tensor.name ?? '', tensor] as const))
  const lists = (graph.node ?? []).filter(({ domain }) => domain === 'ai.onnx.ml').flatMap(node => {
    const list = listOf(node, tensors)
    return list === undefined || list.length < 2 ? [] : [list]
  })
  const [first] = lists
  return lists.every(list => list.join('\n') === first.join('\n')) ? first : undefined
}

function listOf({ op_type: op, input = [], attribute = [] }: NodeMessage, tensors: ReadonlyMap<string, TensorMessage>):
  | readonly string[]
  | undefined {
  const tensor = op === 'ArrayFeatureExtractor' ? tensors.get(input[0]) : undefined
  if (tensor !== undefined) {
    return tensor.data_type === STRING
      ? (tensor.string_data ?? []).map(name => text.decode(name))
      : Array.from(toCoreTensor(readTensor(tensor, new Map()), 'classes').data, String)
  }
  const found = attribute.find(({ name }) => ATTRIBUTES.includes(name))
  return found?.strings !== undefined && found.strings.length > 0
    ? found.strings.map(name => text.decode(name))
    : found?.ints?.map(String)
}
