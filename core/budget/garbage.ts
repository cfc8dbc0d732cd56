/**
 * @file Arrays that large steps leave behind. Hosts collect garbage when objects are many, and a large array is one
 * object: what is left is counted, and a host that can collects it in time.
 */

/** A collection takes a millisecond: not before so many bytes. */
const WORTH_BYTES = 32 << 20

let collect: ((bytes: number) => void) | undefined
let left = 0

/** What collects arrays of late; without it the host's own collector comes when it comes. */
export function useCollector(collector: (bytes: number) => void): void {
  collect = collector
}

/** About so many bytes of arrays are needed no more. */
export function leaveBehind(bytes: number): void {
  left += bytes
  if (left < WORTH_BYTES) return
  const all = left
  left = 0
  collect?.(all)
}
