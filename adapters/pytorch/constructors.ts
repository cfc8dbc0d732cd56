/** @file What PyTorch's own functions make of a pickle's arguments: tensors, written down as views of storages. */
import { type Constructor, PickleDict, PickleGlobal, PickleTuple, type PickleValue } from '../pickle/index.js'
import { dtypeOf, type ElementType, UNTYPED } from './dtypes.js'
import { refuseTorch } from './refusal.js'
import { checkView, tensorOf, TorchParameter, TorchStorage, TorchTensor, UnreadableTensor } from './tensors.js'

type Args = readonly PickleValue[]

function arity(args: Args, least: number, most: number, what: string, offset: number): void {
  if (args.length < least || args.length > most) {
    refuseTorch(`calls ${what} with ${args.length} arguments`, { offset, limit: most, actual: args.length })
  }
}

/** A view of a storage as elements of a type. */
function viewOf(value: PickleValue, type: ElementType | undefined, [start, size, stride]: Args, offset: number):
  | TorchTensor
  | UnreadableTensor {
  if (!(value instanceof TorchStorage)) refuseTorch('has a tensor without a storage', { offset })
  const elements = type ?? value.type
  if (type !== undefined && value.type !== UNTYPED) {
    refuseTorch('has a typed storage where an untyped one is due', { offset })
  }
  if (elements.dtype === undefined || elements.bytes === undefined) {
    return new UnreadableTensor(`a tensor of ${elements.name}`)
  }
  const view = checkView(type === undefined ? value.length : Math.floor(value.length / elements.bytes), start, size,
    stride, offset)
  return new TorchTensor(elements.dtype, value, view.offset, view.size, view.stride)
}

/** `requires_grad`, which says nothing about the numbers, but must be what it is. */
function flag(value: PickleValue | undefined, offset: number): void {
  if (typeof value !== 'boolean') refuseTorch('has a tensor whose requires_grad is not true or false', { offset })
}

/** `_rebuild_tensor(storage, offset, size, stride)` of PyTorch up to 0.3. */
const rebuildTensor: Constructor = (args, offset) => {
  arity(args, 4, 4, '_rebuild_tensor', offset)
  return viewOf(args[0], undefined, args.slice(1), offset)
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata = None)`. */
const rebuildTensor2: Constructor = (args, offset) => {
  arity(args, 6, 7, '_rebuild_tensor_v2', offset)
  flag(args[4], offset)
  return flipped(args[6], viewOf(args[0], undefined, args.slice(1, 4), offset))
}

/**
 * `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata = None)`: for the types of
 * 2.1 and newer.
 */
const rebuildTensor3: Constructor = (args, offset) => {
  arity(args, 7, 8, '_rebuild_tensor_v3', offset)
  flag(args[4], offset)
  const type = args[6] instanceof PickleGlobal ? dtypeOf(args[6].path) : undefined
  if (type === undefined) refuseTorch('has a tensor whose dtype is not a name', { offset })
  return flipped(args[7], viewOf(args[0], type, args.slice(1, 4), offset))
}

/** Tensors whose sign is turned only when they are read. */
function flipped(metadata: PickleValue | undefined, tensor: TorchTensor | UnreadableTensor):
  | TorchTensor
  | UnreadableTensor {
  const lazy = metadata instanceof PickleDict && (metadata.get('conj') === true || metadata.get('neg') === true)
  return lazy ? new UnreadableTensor('a lazily conjugated or negated tensor') : tensor
}

/** `_rebuild_parameter(tensor, requires_grad, hooks[, state])`: the tensor. */
const rebuildParameter: Constructor = (args, offset) => {
  arity(args, 2, 4, '_rebuild_parameter', offset)
  flag(args[1], offset)
  return tensorOf(args[0]) ?? refuseTorch('has a Parameter without a tensor', { offset })
}

/** `torch.nn.Parameter(tensor, requires_grad)`, or without arguments: its state follows. */
const parameter: Constructor = (args, offset) => {
  arity(args, 0, 2, 'Parameter', offset)
  return args.length === 0 ? new TorchParameter() : rebuildParameter([args[0], args[1] ?? true, null], offset)
}

/** `torch.Size((2, 3))` is a tuple. */
const size: Constructor = (args, offset) => {
  const [items] = args
  return args.length === 1 && items instanceof PickleTuple
    ? items
    : refuseTorch('has a torch.Size that is not one of a tuple', { offset })
}

/** `restore_type_tag(value, type)` and `build_intlist(list)` of TorchScript. */
const first: Constructor = (args, offset) =>
  args[0] ?? refuseTorch('calls a function of TorchScript without arguments', { offset })

const unreadable = (kind: string): Constructor => () => new UnreadableTensor(kind)

/** `_rebuild_from_type_v2(function, type, arguments, state)`: a tensor of a subclass, or one with attributes. */
const rebuildFromType: Constructor = (args, offset) => {
  arity(args, 4, 4, '_rebuild_from_type_v2', offset)
  const [rebuild, , rebuildArgs] = args
  const constructor = rebuild instanceof PickleGlobal && rebuild.path !== 'torch._tensor._rebuild_from_type_v2'
    ? TORCH_CONSTRUCTORS.get(rebuild.path)
    : undefined
  if (constructor === undefined || !(rebuildArgs instanceof PickleTuple)) {
    return new UnreadableTensor('a tensor of a class of its own')
  }
  return constructor(rebuildArgs.items, offset)
}

/** PyTorch's names that become data. */
export const TORCH_CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor2],
  ['torch._utils._rebuild_tensor_v3', rebuildTensor3],
  ['torch._utils._rebuild_parameter', rebuildParameter],
  ['torch._utils._rebuild_parameter_with_state', rebuildParameter],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['torch.nn.parameter.Parameter', parameter],
  ['torch.nn.Parameter', parameter],
  ['torch.Size', size],
  ['torch.jit._pickle.restore_type_tag', first],
  ['torch.jit._pickle.build_intlist', first],
  ['torch.jit._pickle.build_doublelist', first],
  ['torch.jit._pickle.build_boollist', first],
  ['torch.jit._pickle.build_tensorlist', first],
  ['torch._utils._rebuild_qtensor', unreadable('a quantised tensor')],
  ['torch._utils._rebuild_sparse_tensor', unreadable('a sparse tensor')],
  ['torch._utils._rebuild_sparse_csr_tensor', unreadable('a sparse tensor')],
  ['torch._utils._rebuild_nested_tensor', unreadable('a nested tensor')],
  ['torch._utils._rebuild_meta_tensor_no_storage', unreadable('a tensor without numbers (on the device meta)')],
  ['torch._utils._rebuild_wrapper_subclass', unreadable('a tensor of a class of its own')],
  ['torch._utils._rebuild_device_tensor_from_numpy', unreadable('a tensor of another device, stored as a NumPy array')],
  ['torch._utils._rebuild_device_tensor_from_cpu_tensor',
    (args, offset) =>
      tensorOf(args[0] ?? null) ?? refuseTorch('has a tensor of another device without its numbers', { offset })],
  ['torch._utils._rebuild_xla_tensor', unreadable('a tensor of another device, stored as a NumPy array')],
])
