/** @file How a value looks in a message: short, whatever it is. */

/** Text and numbers as they are, the kind of everything else: a message never holds an array. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 100)}'`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value).slice(0, 100)
  if (Array.isArray(value)) return `a list of ${value.length}`
  return ArrayBuffer.isView(value) ? 'an array' : 'a dictionary'
}
