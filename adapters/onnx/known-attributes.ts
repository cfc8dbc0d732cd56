/** @file Refuses attributes that an operator does not have: a misspelt one would be passed over for its default. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { ATTRIBUTE_TABLE } from './attribute-table.js'
import { CONTRIBUTED_ATTRIBUTES } from './contributed/attribute-table.js'
import type { AttributeMessage } from './messages.js'

/** Kinds of the table by AttributeProto.AttributeType, and the fields that hold their values. */
const KINDS: Readonly<Record<number, string>> = { 1: 'f', 2: 'i', 3: 's', 4: 't', 5: 'g', 6: 'F', 7: 'I', 8: 'S',
  9: 'T', 10: 'G', 11: 'p', 13: 'y' }
const WORDS: Readonly<Record<string, string>> = { f: 'a number', i: 'an integer', s: 'text', t: 'a tensor',
  g: 'a graph', F: 'numbers', I: 'integers', S: 'texts' }
const SINGLE = [['f', 'f'], ['i', 'i'], ['s', 's'], ['t', 't'], ['g', 'g']] as const
const LISTS = [['floats', 'F'], ['ints', 'I'], ['strings', 'S']] as const

/** Older operators carry what only Caffe2 read. */
const PASSED_OVER = new Set(['consumed_inputs'])

/** Attributes that bound or fill, which may be infinite; elsewhere an infinite number makes nothing but NaN. */
const MAY_BE_INFINITE = new Set(['Clip.max', 'Clip.min', 'Constant.value_float', 'Constant.value_floats', 'GRU.clip',
  'LSTM.clip', 'Pad.value', 'RNN.clip', 'Resize.extrapolation_value'])

/** Integers that stand for yes and no, of any operator. Another number is true to one reader and false to the next. */
const FLAGS = new Set(['align_corners', 'allowzero', 'antialias', 'broadcast', 'ceil_mode', 'count_include_pad',
  'do_rotary', 'exclude_outside', 'exclusive', 'fmod', 'input_forget', 'interleaved', 'inverse', 'is_causal', 'is_test',
  'keepdims', 'largest', 'linear_before_reset', 'new_axis', 'noop_with_empty_axes', 'onesided', 'output_sequence',
  'periodic', 'reverse', 'saturate', 'select_last_index', 'sorted', 'storage_order', 'training_mode', 'transA',
  'transB', 'transBatchA', 'transBatchB', 'unidirectional', 'upper'])

const TABLE = { ...ATTRIBUTE_TABLE, ...CONTRIBUTED_ATTRIBUTES }

/**
 * @param op with its domain in front, where that is not ONNX' own; operators that are not read are not known here
 * @throws UntrustedInputError for an attribute that the operator does not have in this operator set, of another kind,
 *   not finite, or a flag that is neither 0 nor 1
 */
export function checkAttributes(op: string, node: string, opset: number,
  attributes: readonly AttributeMessage[]): void {
  if (!Object.hasOwn(TABLE, op)) return
  const known = new Map(TABLE[op].map(entryOf).filter(({ from, to }) => from <= opset && opset <= to).map(
    ({ name, kind }) => [name, kind] as const,
  ))
  for (const attribute of attributes) {
    const { name = '' } = attribute
    const kind = known.get(name)
    if (kind === undefined && !PASSED_OVER.has(name)) {
      const suggestion = nearestWord(name, [...known.keys()])
      throw refuse(op, node,
        `has no attribute '${name.slice(0, 50)}'${op.includes('::') ? '' : ` in operator set ${opset}`}` +
          (suggestion === undefined ? '' : `; '${suggestion}' may be meant`))
    }
    const found = kindOf(attribute)
    if (kind !== undefined && found !== undefined && found !== kind) {
      throw refuse(op, node,
        `takes ${WORDS[kind] ?? 'another kind'} as '${name}', and the file has ${WORDS[found] ?? 'another kind'}`)
    }
    checkFlag(op, node, attribute)
    // Those of other domains take NaN for values that are missing.
    if (Object.hasOwn(ATTRIBUTE_TABLE, op)) checkFinite(op, node, attribute)
  }
}

/** @throws UntrustedInputError for a flag that is neither 0 nor 1 */
function checkFlag(op: string, node: string, { name = '', i }: AttributeMessage): void {
  if (i == null || !FLAGS.has(name) || Number(i) === 0 || Number(i) === 1) return
  throw refuse(op, node, `takes 0 or 1 as '${name}', and the file has ${i}`)
}

/** @throws UntrustedInputError for NaN, and for infinity where it has no meaning */
function checkFinite(op: string, node: string, { name = '', f, floats }: AttributeMessage): void {
  const infinite = MAY_BE_INFINITE.has(`${op}.${name}`)
  const found = [f ?? 0, ...floats ?? []].find(value => (infinite ? Number.isNaN(value) : !Number.isFinite(value)))
  if (found !== undefined) throw refuse(op, node, `has the attribute '${name}' with the value ${found}`)
}

function entryOf(entry: string): { name: string, kind: string, from: number, to: number } {
  const [name, rest] = entry.split(':')
  const [, kind, from = '0', to = 'Infinity'] = /^(.)(?:@(\d+))?(?:-(\d+))?$/.exec(rest) ?? ['', '?']
  return { name, kind, from: Number(from), to: Number(to) }
}

/** The kind that an attribute says, or shows where it says none; undefined where it is empty, or contradicts itself. */
function kindOf(attribute: AttributeMessage): string | undefined {
  const held = [...SINGLE.filter(([field]) => Object.hasOwn(attribute, field) && attribute[field] != null),
    ...LISTS.filter(([field]) => (attribute[field]?.length ?? 0) > 0)].map(([, kind]) => kind)
  const said = attribute.type === undefined || attribute.type === 0 ? undefined : KINDS[attribute.type] ?? '?'
  if (held.length > 1 || (said !== undefined && held.length === 1 && held[0] !== said)) return '?'
  return said ?? held[0]
}

function refuse(op: string, node: string, problem: string): UntrustedInputError {
  return new UntrustedInputError(
    `The ${op} node '${node.slice(0, 200)}' of the ONNX file is not valid: ${op} ${problem}.`,
    { format: 'ONNX', path: node.slice(0, 200) },
  )
}
