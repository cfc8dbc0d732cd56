/**
 * @file Runs every reader on every attack; bundled and started by heap-limited.test.ts in a process of its own.
 * Prints one line of JSON: how each attack ended, or what was wrong.
 */
import { describeFile, FORMATS, readNetwork } from '../../../adapters/network/index.js'
import { LaplaceError } from '../../../core/errors/errors.js'
import { fastest, stopwatch } from '../../support/time-limits.js'
import { attacks } from './attacks.js'

const FIXTURES = process.argv[2]
const MOST_MILLISECONDS = 1000
const MOST_BYTES = 200 * 2 ** 20

/** What came of one reader: a code, or `accepted`. */
async function outcome(read: () => Promise<unknown>): Promise<string> {
  try {
    await read()
    return 'accepted'
  } catch (error) {
    if (error instanceof LaplaceError) return error.code
    return `FAULT ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`
  }
}

let evalRefused = false
try {
  new Function('return 1')()
} catch {
  evalRefused = true
}

const faults: string[] = []
const outcomes: Record<string, string[]> = {}
const keys = Reflect.ownKeys(Object.prototype).length
for (const { name, bytes } of attacks(new URL(FIXTURES))) {
  const results: string[] = []
  for (const format of [undefined, ...FORMATS]) {
    const before = process.memoryUsage()
    let result = ''
    const elapsed = await fastest(MOST_MILLISECONDS, async () => {
      const since = stopwatch()
      result = await outcome(() =>
        readNetwork(bytes, { activation: 'relu', ...(format === undefined ? {} : { format }) })
      )
      return since()
    }, 3)
    const after = process.memoryUsage()
    const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
    if (elapsed >= MOST_MILLISECONDS) faults.push(`${name} (${format ?? 'recognised'}) took ${elapsed.toFixed(0)} ms`)
    if (grown > MOST_BYTES) faults.push(`${name} (${format ?? 'recognised'}) took ${grown} bytes`)
    if (result.startsWith('FAULT') || result === 'INTERNAL') {
      faults.push(`${name} (${format ?? 'recognised'}): ${result}`)
    }
    results.push(result)
  }
  const described = await outcome(() => describeFile(bytes))
  if (described !== 'accepted') faults.push(`${name}: describeFile ${described}`)
  if ('x' in {} || Reflect.ownKeys(Object.prototype).length !== keys) {
    faults.push(`${name}: the prototype of objects was changed`)
  }
  outcomes[name] = results
}
process.stdout.write(`${JSON.stringify({ evalRefused, faults, outcomes })}\n`)
