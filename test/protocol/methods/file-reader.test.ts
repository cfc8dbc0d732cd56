import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ProtocolError } from '../../../core/errors/errors.js'
import { tensorFromWire } from '../../../protocol/frames/arrays.js'
import { createFileReader } from '../../../protocol/methods/file-reader.js'

const base = mkdtempSync(join(tmpdir(), 'polylaplace-'))
t.teardown(() => {
  rmSync(base, { recursive: true })
})
const inside = join(base, 'inside')
mkdirSync(inside)
writeFileSync(join(inside, 'data.bin'), Float64Array.of(1, 2, 3))
writeFileSync(join(base, 'secret'), 'secret')
symlinkSync(join(base, 'secret'), join(inside, 'link'))
symlinkSync(base, join(inside, 'parent'))
writeFileSync(join(inside, 'twice'), 'x')
linkSync(join(inside, 'twice'), join(base, 'second-name'))
execFileSync('mkfifo', [join(inside, 'fifo')])

t.test('files below the folder are read, whole and in part', async t => {
  const files = createFileReader([inside])
  t.equal(files.read('data.bin').length, 24)
  t.equal(files.read(join(inside, 'data.bin')).length, 24)
  const array = { dtype: 'f64', shape: [2], data: { file: 'data.bin', offset: 8, length: 16 } }
  t.strictSame([...tensorFromWire(array, 'x', files.data).data], [2, 3])
  const sha256 = createHash('sha256').update(new Uint8Array(Float64Array.of(2, 3).buffer)).digest('hex')
  t.ok(tensorFromWire({ ...array, data: { ...array.data, sha256 } }, 'x', files.data))
  t.throws(
    () => tensorFromWire({ ...array, data: { ...array.data, sha256: sha256.replace(/./, 'z') } }, 'x', files.data),
    ProtocolError,
  )
  for (const part of [{ offset: 16, length: 16 }, { offset: -8, length: 16 }, { offset: 0.5, length: 16 }, {
    offset: 2 ** 53,
    length: 16,
  }]) {
    t.throws(() => tensorFromWire({ ...array, data: { file: 'data.bin', ...part } }, 'x', files.data), ProtocolError)
  }
})

t.test('everything else is refused', async t => {
  const files = createFileReader([inside])
  for (const path of ['../secret', join(base, 'secret'), '/etc/passwd', 'link', 'parent/secret', 'twice', 'fifo', '.',
    '', 'data.bin\0.txt', 'missing', 5, undefined, null]) {
    t.throws(() => files.read(path), ProtocolError, JSON.stringify(path))
  }
  t.throws(() => createFileReader([]).read(join(inside, 'data.bin')), /--read-dir/)
})
