/**
 * @file Writes one file again and again, until it is ended: bundled and started by write-file.test.ts in a process of
 * its own. With a third argument it writes once, and prints how that ended.
 */
import { LaplaceError } from '../../../core/errors/errors.js'
import { writeWhole } from '../../../node/files/write-file.js'

// Else the system ends a process that writes beyond its limit before it can say so.
process.on('SIGXFSZ', () => undefined)

const [path, size, once] = process.argv.slice(2)
const content = (value: number): Uint8Array => new Uint8Array(Number(size)).fill(value)

if (once === undefined) {
  process.stdout.write('ready\n')
  for (let value = 1;; value = 1 + value % 250) await writeWhole(path, content(value))
}
try {
  await writeWhole(path, content(7))
  process.stdout.write('written\n')
} catch (error) {
  process.stdout.write(error instanceof LaplaceError ? `${error.code} ${error.message}\n` : `FAULT ${String(error)}\n`)
}
