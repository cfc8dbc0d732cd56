/** @file Which tensors are a block together, and where its parameters lie. */
import type { BlockChoice } from '../options/words.js'
import type { LinearShape } from './linear-shape.js'
import { parameterCount, type ParameterSlot } from './parameter-slot.js'

/**
 * The tensors of every block, ascending: each tensor alone, or those of a layer together. Of one layer are the weight
 * and the bias of a linear operator, and tensors of one module (`conv1.weight` and `conv1.bias`).
 */
export function blockSlots(choice: BlockChoice, slots: readonly ParameterSlot[],
  linears: readonly LinearShape[]): number[][] {
  if (choice === 'tensor') return slots.map((_, slot) => [slot])
  const first = slots.map((_, slot) => slot)
  const join = (a: number, b: number): void => {
    const [kept, replaced] = [Math.min(first[a], first[b]), Math.max(first[a], first[b])]
    first.forEach((own, slot) => {
      if (own === replaced) first[slot] = kept
    })
  }
  for (const { weight, bias } of linears) if (weight >= 0 && bias >= 0) join(weight, bias)
  const modules = new Map<string, number>()
  slots.forEach(({ name }, slot) => {
    const module = moduleOf(name)
    if (module === undefined) return
    join(slot, modules.get(module) ?? slot)
    modules.set(module, slot)
  })
  const groups = new Map<number, number[]>()
  first.forEach((own, slot) => groups.set(own, [...groups.get(own) ?? [], slot]))
  return [...groups.values()]
}

/** Parameters of each block. */
export function blockSizes(choice: BlockChoice, slots: readonly ParameterSlot[],
  linears: readonly LinearShape[]): number[] {
  return blockSlots(choice, slots, linears).map(block => parameterCount(block.map(slot => slots[slot])))
}

/** What stands before the last dot or slash of a name; undefined for names of no module. */
function moduleOf(name: string): string | undefined {
  const end = Math.max(name.lastIndexOf('.'), name.lastIndexOf('/'))
  return end > 0 ? name.slice(0, end) : undefined
}

/** The tensors of a block, one after another: where they lie in its coordinates. */
export function slotsOfBlock(slots: readonly ParameterSlot[], block: readonly number[]): ParameterSlot[] {
  let offset = 0
  return block.map(index => {
    const own = { ...slots[index], offset }
    offset += own.size
    return own
  })
}

/** The place in theta of every parameter of a block; ascending, as its tensors are. */
export function placesOfBlock(slots: readonly ParameterSlot[], block: readonly number[]): Int32Array {
  return Int32Array.from(
    block.flatMap(index => Array.from({ length: slots[index].size }, (_, i) => slots[index].offset + i)),
  )
}
