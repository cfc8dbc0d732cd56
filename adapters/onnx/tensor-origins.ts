/**
 * @file What a file of torch says of where its tensors come from. The exporter of `torch.export` notes which are
 * parameters and which buffers, and what it folded into others; the older one writes constants of the code as nodes,
 * and the tensors of a module as initialisers.
 */
import type { GraphMessage, ModelMessage } from './messages.js'

/** Where a tensor comes from. */
export interface Origin {
  /** `code`: a constant of the program's code, or a weight that is written as one. Undefined: its use tells. */
  readonly kind: 'parameter' | 'constant' | 'code' | undefined
  /** The module's tensors that were folded into it, among other values. */
  readonly from: readonly string[]
  /** Whether it is more than one of them in another layout. */
  readonly computed: boolean
  /** Whether its numbers are others than those of any of them: a weight times its scale. */
  readonly mixed?: boolean
  /** Whether the file says that one of them is a parameter. */
  readonly learnt?: boolean
}

/** Origins by the name of the tensor, as far as the file says. */
export type Origins = ReadonlyMap<string, Origin>

/** The path to a tensor of a network, as torch writes it. */
export const OWN_NAME = /^(\w+\.)*[A-Za-z_]\w*$/

/** Characters of a signature that are read: 10,000 tensors and more. */
const LONGEST_SIGNATURE = 2e6

const KIND = 'pkg.torch.export.graph_signature.InputSpec.kind'
const NAME = 'pkg.torch.onnx.original_node_name'
const FOLDED = 'pkg.onnxscript.optimizer.folded_from'
const SIGNATURE = 'pkg.torch.export.ExportedProgram.graph_signature'

/** An input of the program, as the signature writes it in newer and in older versions of torch. */
const SPECIFIED =
  /(?:: (PARAMETER|BUFFER|CONSTANT_TENSOR)|InputKind\.(PARAMETER|BUFFER|CONSTANT_TENSOR)\b.{0,200}?,) target='([^']*)'/g

/** Kinds of inputs of a `torch.export` program. */
const KINDS: ReadonlyMap<string, Origin['kind']> = new Map([['PARAMETER', 'parameter'], ['BUFFER', 'constant'], [
  'CONSTANT_TENSOR',
  'constant',
]])

/** Names that torch gives to values after the functions that compute them. */
const COMPUTED = new RegExp(
  `^(val|getitem|${
    ['_?to_copy', '_?to', 'clone', 'copy', 'alias', 'detach', 'lift_fresh\\w*', 'expand\\w*', '_?(unsafe_)?view\\w*',
      'reshape', 'un?squeeze', 'squeeze', 'permute', 'transpose', 'numpy_t', 't', 'slice', 'select', 'index\\w*',
      'gather', 'embedding', 'flatten', 'unflatten', 'add', 'sub', 'rsub', 'mul', 'div', 'neg', 'abs', 'pow', 'square',
      'exp', 'log\\w*', 'sqrt', 'rsqrt', 'reciprocal', 'sin', 'cos', 'outer', 'tanh', 'sigmoid', 'relu', 'gelu', 'silu',
      '_?softmax', 'where', 'masked_fill', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'bitwise_\\w+', 'cat', 'stack',
      'repeat\\w*', 'tile', 'flip', 'roll', 'sum', 'mean', 'prod', 'amax', 'amin', 'max', 'min', 'maximum', 'minimum',
      'clamp\\w*', 'linalg_\\w+', 'cumsum', 'cumprod', 'floor\\w*', 'ceil', 'round', 'remainder', 'triu\\w*',
      'tril\\w*', 'split\\w*', 'unbind\\w*', 'chunk', 'meshgrid', 'constant_pad_nd', 'pad', 'sym_\\w+', 'linear',
      'matmul', 'mm', 'bmm', 'einsum', 'glu', '(native_)?layer_norm', 'conv\\w*', 'arange', 'zeros', 'ones', 'full',
      'eye', '\\w+_window', 'u?int\\d+_\\w+', 'tmp', '_?fft_\\w+', 'empty', 'new_\\w+', 'linspace', 'logspace',
      'scalar_tensor', '\\w+_like']
      .join('|')
  })(_default)?(__?\\d+)*$`,
)

/** Those of them whose numbers are others than those that they are computed from. */
const MIXING = new Set(['add', 'sub', 'rsub', 'mul', 'div', 'neg', 'abs', 'pow', 'square', 'exp', 'log', 'sqrt',
  'rsqrt', 'reciprocal', 'sin', 'cos', 'tanh', 'sigmoid', 'relu', 'softmax', '_softmax', 'triu', 'tril',
  'linalg_vector_norm', 'matmul', 'mm', 'bmm', 'einsum'])

/** What the file says of the tensors of its graph. */
export function tensorOrigins(model: ModelMessage, graph: GraphMessage): Origins {
  const noted = new Map<string, Origin>()
  const signature = signatureOf(graph)
  let exported = signature.size > 0
  const inputs = new Set(
    (graph.input ?? []).flatMap((
      { name, metadata_props: properties = [] },
    ) => [name, ...properties.filter(({ key }) => key === NAME).map(({ value }) => value)]),
  )
  for (const { name, metadata_props: properties = [] } of graph.value_info ?? []) {
    const [kind, folded] = [KIND, FOLDED].map(key => properties.find(each => each.key === key)?.value)
    if (kind !== undefined) {
      exported = true
      noted.set(name, { kind: KINDS.get(kind), from: [], computed: false })
    } else if (folded !== undefined) noted.set(name, foldedOrigin(name, namesIn(folded), inputs, signature))
  }
  if (exported) return noted
  return model.producer_name === 'pytorch' ? constantsOfCode(graph) : new Map()
}

/** The names in the text of a Python list. */
export function namesIn(text: string): string[] {
  return [...text.slice(0, 1e5).matchAll(/'([^']*)'/g)].map(match => match[1])
}

/** The kinds of the module's own tensors, also of those that were folded into others; none where none are said. */
function signatureOf({ metadata_props: properties = [] }: GraphMessage): ReadonlyMap<string, Origin['kind']> {
  const text = properties.find(({ key }) => key === SIGNATURE)?.value.slice(0, LONGEST_SIGNATURE) ?? ''
  return new Map(
    [...text.matchAll(SPECIFIED)].map(([, kind, older, name]) => [name, KINDS.get(kind ?? older)] as const),
  )
}

/** What is made of none of the module's parameters is made by the code, or of what does not learn. */
function foldedOrigin(name: string, from: readonly string[], inputs: ReadonlySet<string>,
  signature: ReadonlyMap<string, Origin['kind']>): Origin {
  const own = from.filter(source =>
    signature.size > 0 ? signature.get(source) === 'parameter' : !inputs.has(source) && !COMPUTED.test(source)
  )
  const mixed = own.length > 1 || [name, ...from].some(source => MIXING.has(source.replace(/(__?\d+)*$/, '')))
  return { kind: own.length === 0 ? 'constant' : undefined, from: own, computed: from.length > 1, mixed,
    learnt: signature.size > 0 && own.length > 0 }
}

/** The results of Constant nodes, where the file has initialisers for the module's own tensors. */
function constantsOfCode({ initializer = [], node: nodes = [] }: GraphMessage): Origins {
  if (initializer.length === 0) return new Map()
  const names = nodes.flatMap(({ op_type: op, output = [] }) => (op === 'Constant' ? output : []))
  return new Map(names.map(name => [name, { kind: 'code', from: [], computed: false }] as const))
}

/** The origin of a tensor, or of the one that it is a row of. */
export function originOf(origins: Origins, name: string): Origin | undefined {
  return origins.get(name) ?? origins.get(name.replace(/:\d+$/, ''))
}
