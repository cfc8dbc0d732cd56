/**
 * @file What reading a state dict costs beside reading its bytes:
 * `npm run build:js && node bench/read-files.mjs [megabytes]`.
 *
 * Times are of the processor, so that what else runs does not count: the least of several runs, each in a process of
 * its own. Memory is what the process has grown by, over the file.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'polylaplace/adapters/zip'

const RUNS = 5
const TENSORS = 25

/** A child's part: read the bytes, then the tensors, and print what it took. */
async function measure(format, path) {
  const { readPyTorchTensors } = await import('polylaplace/adapters/pytorch')
  const { readSafetensorsTensors } = await import('polylaplace/adapters/safetensors')
  const read = {
    pytorch: bytes => readPyTorchTensors(bytes).tensors,
    'pytorch, own checksum': bytes => readPyTorchTensors(bytes, { zip: { crc32 } }).tensors,
    'pytorch legacy': bytes => readPyTorchTensors(bytes).tensors,
    safetensors: bytes => readSafetensorsTensors(bytes),
  }[format]
  const before = process.memoryUsage().rss
  const start = milliseconds()
  const bytes = readFileSync(path)
  const middle = milliseconds()
  const tensors = read(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))
  const end = milliseconds()
  let total = 0
  for (const { bytes: part } of tensors.values()) total += part.length
  console.log(
    JSON.stringify({ reading: middle - start, tensors: end - middle,
      memory: (process.memoryUsage().rss - before) / bytes.length, total }),
  )
}

function milliseconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const text = value => Buffer.from(value)
const u16 = value => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}
const u32 = value => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const i64 = value => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(value))
  return bytes
}
const str = value => Buffer.concat([text('X'), u32(value.length), text(value)])
const int = value => Buffer.concat([text('J'), u32(value)])
const tuple = (...items) => Buffer.concat([text('('), ...items, text('t')])
const call = (module, name, ...args) => Buffer.concat([text(`c${module}\n${name}\n`), tuple(...args), text('R')])
const pickle = value => Buffer.concat([Buffer.of(0x80, 2), value, text('.')])

/** The pickle of a state dict of square matrices, one a storage. */
function statePickle(side, legacy) {
  const storage = key =>
    Buffer.concat([
      tuple(str('storage'), text('ctorch\nFloatStorage\n'), str(String(key)), str('cpu'), int(side * side),
        ...(legacy ? [text('N')] : [])),
      text('Q'),
    ])
  const tensor = key =>
    call('torch._utils', '_rebuild_tensor_v2', storage(key), int(0), tuple(int(side), int(side)),
      tuple(int(side), int(1)), Buffer.of(0x89), call('collections', 'OrderedDict'))
  return pickle(
    Buffer.concat([call('collections', 'OrderedDict'), text('('),
      ...Array.from({ length: TENSORS }, (_, i) => Buffer.concat([str(`layer${i}.weight`), tensor(i)])), text('u')]),
  )
}

function zipFile(entries) {
  const [body, directory] = [[], []]
  let at = 0
  for (const [name, data] of entries) {
    const sizes = Buffer.concat([u32(crc32(data)), u32(data.length), u32(data.length), u16(name.length)])
    // The data start at a multiple of 64, as torch has them.
    const padding = (64 - (at + 34 + name.length) % 64) % 64
    const local = Buffer.concat([text('PK\x03\x04'), u16(20), u16(0x800), u16(0), u32(0), sizes, u16(padding + 4),
      text(name), text('FB'), u16(padding), Buffer.alloc(padding, 'Z')])
    body.push(local, data)
    directory.push(
      Buffer.concat([text('PK\x01\x02'), u16(20), u16(20), u16(0x800), u16(0), u32(0), sizes, u16(0), u16(0), u16(0),
        u16(0), u32(0), u32(at), text(name)]),
    )
    at += local.length + data.length
  }
  const records = Buffer.concat(directory)
  return Buffer.concat([...body, records, text('PK\x05\x06'), u32(0), u16(entries.length), u16(entries.length),
    u32(records.length), u32(at), u16(0)])
}

function makeFiles(folder, megabytes) {
  const side = Math.round(Math.sqrt(megabytes * 2 ** 20 / 4 / TENSORS))
  const matrices = Array.from({ length: TENSORS },
    (_, k) => Buffer.from(Float32Array.from({ length: side * side }, (_, i) => Math.sin(i + k)).buffer))
  const names = matrices.map((_, i) => `layer${i}.weight`)
  writeFileSync(join(folder, 'model.pt'),
    zipFile([['model/data.pkl', statePickle(side, false)], ...matrices.map((data, i) => [`model/data/${i}`, data]), [
      'model/version',
      text('3\n'),
    ]]))
  const magic = Buffer.of(0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19)
  const keys = Buffer.concat([text(']('), ...matrices.map((_, i) => str(String(i))), text('e')])
  writeFileSync(join(folder, 'legacy.pt'),
    Buffer.concat([pickle(magic), pickle(int(1001)), pickle(text('}')), statePickle(side, true), pickle(keys),
      ...matrices.flatMap(data => [i64(side * side), data])]))
  const size = matrices[0].length
  const header = JSON.stringify(
    Object.fromEntries(
      names.map((name, i) => [name, { dtype: 'F32', shape: [side, side], data_offsets: [i * size, (i + 1) * size] }]),
    ),
  )
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([i64(padded.length), text(padded), ...matrices]))
}

function compare(megabytes) {
  const folder = mkdtempSync(join(tmpdir(), 'polylaplace-'))
  try {
    makeFiles(folder, megabytes)
    const files = { pytorch: 'model.pt', 'pytorch, own checksum': 'model.pt', 'pytorch legacy': 'legacy.pt',
      safetensors: 'model.safetensors' }
    console.log(`| ${megabytes} MiB | bytes, ms | tensors, ms | both / bytes | memory / file |\n|---|---|---|---|---|`)
    for (const [format, file] of Object.entries(files)) {
      const runs = Array.from({ length: RUNS }, () =>
        JSON.parse(
          execFileSync(process.execPath, [import.meta.filename, '--child', format, join(folder, file)], {
            encoding: 'utf8',
          }),
        ))
      const least = key => Math.min(...runs.map(run => run[key]))
      console.log(
        `| ${format} | ${least('reading').toFixed(0)} | ${least('tensors').toFixed(0)} | ${
          ((least('reading') + least('tensors')) / least('reading')).toFixed(2)
        } | ${least('memory').toFixed(2)} |`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

if (process.argv[2] === '--child') await measure(process.argv[3], process.argv[4])
else compare(Number(process.argv[2] ?? 100))
