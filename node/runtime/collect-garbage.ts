/**
 * @file Collects the garbage of a thread that is about to have nothing to do. Arrays, and memories of kernels, that it
 * has left behind would stay as long as it rests: a collector starts when something is allocated.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Less than this is left where it is: a collection takes some milliseconds. */
const WORTH_BYTES = 16 << 20
/** With more objects than these bytes a program would stand still for a tenth of a second and more. */
const MOST_OBJECTS = 128 << 20

/** V8's own function. */
type Collect = (options?: { readonly type: 'minor' }) => void

let own: Collect | undefined

/** Collects it where the thread's arrays are many, or where it has left `more` bytes that are none. */
export function collectGarbage(more = 0): void {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  if (arrayBuffers + more < WORTH_BYTES || heapUsed > MOST_OBJECTS) return
  collect()
  // A collection that was under way when arrays were given up keeps them.
  if (process.memoryUsage().arrayBuffers > arrayBuffers - WORTH_BYTES) collect()
}

/** Of arrays of so many bytes some have lasted so long that V8 takes them for old. */
const MANY_BYTES = 64 << 20

/** Collects arrays that a step has left behind, `bytes` of them: those that were made of late, or all. */
export function collectArrays(bytes: number): void {
  if (bytes < MANY_BYTES) collect({ type: 'minor' })
  else collectGarbage()
}

/** Time without work after which a thread is taken to have nothing to do. */
const PAUSE_MS = 20

let left = 0
let pause: NodeJS.Timeout | undefined

/**
 * Collects what pieces of work have left behind, `bytes` more of it: at once where it is much, else when the thread has
 * rested for a moment. A collection after each small piece would take longer than the pieces.
 */
export function collectLater(bytes: number): void {
  left += bytes
  if (left >= MANY_BYTES) collectLeft()
  else if (left > 0) pause = pause?.refresh() ?? setTimeout(collectLeft, PAUSE_MS).unref()
}

function collectLeft(): void {
  collectGarbage(left)
  left = 0
}

function collect(...options: Parameters<Collect>): void {
  try {
    own ??= collector()
    own(...options)
  } catch {
    // A program may forbid what this needs: then it is collected later.
    own = () => undefined
  }
}

/** V8's own function, which contexts have that are made after its flag. */
function collector(): Collect {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return collect
}
