import { execFileSync } from 'node:child_process'
import fs, { existsSync, linkSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { externalLocations, readOnnx, readOnnxTensors } from '../../../adapters/onnx/index.js'
import { readExternalData } from '../../../node/files/external-data.js'
import * as b from './onnx-bytes.js'

const weights = new Uint8Array(Float32Array.of(9, 1, 2, 3, 4, 5, 6).buffer)

function located(location: string): Uint8Array {
  const external = [['location', location], ['offset', '4'], ['length', '24']] as const
  return b.smallModel({
    tensors: [b.tensor({ name: 'w', dims: [3, 2], external, location: 1 }), b.floats('b', [3], [0, 0, 0])],
  })
}

type Open = (file: fs.PathLike, flags: fs.OpenMode) => number

/** Runs with another `openSync`, which is given the true one. */
function whenOpened(replaced: (file: fs.PathLike, flags: fs.OpenMode, open: Open) => number, run: () => void): void {
  const { openSync } = fs
  fs.openSync = (file, flags) => replaced(file, flags, openSync)
  syncBuiltinESMExports()
  try {
    run()
  } finally {
    fs.openSync = openSync
    syncBuiltinESMExports()
  }
}

/** A directory for a test with the weights in `weights.bin`. */
function directory(t: Test): string {
  const path = t.testdir({ model: {}, other: {} })
  writeFileSync(join(path, 'model', 'weights.bin'), weights)
  writeFileSync(join(path, 'other', 'weights.bin'), weights)
  return path
}

t.test('weights are taken from the bytes that the caller gives', async t => {
  t.same(externalLocations(located('weights.bin')), ['weights.bin'])
  t.same(externalLocations(b.smallModel()), [])
  const files = { externalData: new Map([['sub/weights.bin', weights]]) }
  t.same(Array.from(readOnnx(located('sub/weights.bin'), files).initializers.get('w')!.data), [1, 2, 3, 4, 5, 6])
  t.same(readOnnxTensors(located('sub/weights.bin'), files).get('w')!.bytes, weights.subarray(4))
  t.throws(() => readOnnx(located('weights.bin')), { code: 'UNTRUSTED_INPUT',
    message: /in the file 'weights.bin' beside it, which was not given/ })
})

t.test('weights in constants of nodes are found too', async t => {
  const inside = b.tensor({ dims: [3, 2], external: [['location', 'w.bin']], location: 1 })
  const bytes = b.smallModel({
    nodes: [b.node('Constant', [], ['w'], { value: { tensor: inside } }),
      b.node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 })],
    tensors: [b.floats('b', [3], [0, 0, 0])],
  })
  t.same(externalLocations(bytes), ['w.bin'])
  t.same(
    Array.from(
      readOnnx(bytes, { externalData: new Map([['w.bin', weights.subarray(4)]]) }).initializers.get('w')!.data,
    ),
    [1, 2, 3, 4, 5, 6],
  )
})

t.test('files are read from the directory of the model', async t => {
  const path = directory(t)
  mkdirSync(join(path, 'model', 'sub'))
  writeFileSync(join(path, 'model', 'sub', 'weights.bin'), weights)
  for (const location of ['weights.bin', './weights.bin', 'sub/weights.bin']) {
    const bytes = located(location)
    t.same(
      Array.from(
        readOnnx(bytes, { externalData: readExternalData(join(path, 'model'), bytes) }).initializers.get('w')!.data,
      ),
      [1, 2, 3, 4, 5, 6],
      location,
    )
  }
  t.same(readExternalData(join(path, 'nowhere'), b.smallModel()).size, 0,
    'nothing is looked for where the model needs nothing')
})

t.test('35: what a directory may hold against its reader', async t => {
  const path = directory(t)
  const home = join(path, 'model')
  const refused = (location: string, message: RegExp, options = {}): void => {
    t.throws(() => readExternalData(home, located(location), options), { name: 'UntrustedInputError',
      code: 'UNTRUSTED_INPUT', message }, location)
  }
  refused('missing.bin', /'missing.bin' .* is not in the directory of the model/)
  refused('.', /is no file/)
  refused('../other/weights.bin', /leaves its folder/)
  refused(join(path, 'other', 'weights.bin'), /absolute path/)
  mkdirSync(join(home, 'folder'))
  refused('folder', /is no regular file/)
  symlinkSync(join(path, 'other', 'weights.bin'), join(home, 'link.bin'))
  refused('link.bin', /symbolic link/)
  symlinkSync('weights.bin', join(home, 'near.bin'))
  refused('near.bin', /symbolic link/)
  symlinkSync(join(path, 'other'), join(home, 'parent'))
  refused('parent/weights.bin', /symbolic link/)
  symlinkSync('loop.bin', join(home, 'loop.bin'))
  refused('loop.bin', /is not in the directory/)
  writeFileSync(join(path, 'other', 'twice.bin'), weights)
  linkSync(join(path, 'other', 'twice.bin'), join(home, 'hard.bin'))
  refused('hard.bin', /hard link/)
  execFileSync('mkfifo', [join(home, 'pipe.bin')])
  refused('pipe.bin', /is no regular file/)
  writeFileSync(join(home, 'huge.bin'), '')
  truncateSync(join(home, 'huge.bin'), 2 ** 40)
  refused('huge.bin', /1099511627776 bytes; 8589934592 are allowed/)
  refused('weights.bin', /has 28 bytes; 20 are allowed/, { maxBytes: 20 })
})

t.test('35: files that are exchanged between the check and the opening', async t => {
  const exchanges: Record<string, (home: string, other: string) => void> = {
    'the file for a link': (home, other) => {
      fs.rmSync(join(home, 'sub', 'weights.bin'))
      symlinkSync(join(other, 'weights.bin'), join(home, 'sub', 'weights.bin'))
    },
    'its folder for a link': (home, other) => {
      fs.renameSync(join(home, 'sub'), join(home, 'moved'))
      symlinkSync(other, join(home, 'sub'))
    },
    'the file for another, once it is open': (home, other) => {
      fs.renameSync(join(other, 'weights.bin'), join(home, 'sub', 'weights.bin'))
    },
  }
  for (const [name, exchange] of Object.entries(exchanges)) {
    const path = t.testdir({ model: { sub: {} }, other: {} })
    const [home, other] = [join(path, 'model'), join(path, 'other')]
    writeFileSync(join(home, 'sub', 'weights.bin'), weights)
    writeFileSync(join(other, 'weights.bin'), weights)
    whenOpened((file, flags, open) => {
      if (!name.endsWith('once it is open')) exchange(home, other)
      const fd = open(file, flags)
      if (name.endsWith('once it is open')) exchange(home, other)
      return fd
    }, () => {
      t.throws(() => readExternalData(home, located('sub/weights.bin')), { code: 'UNTRUSTED_INPUT',
        message: /cannot be opened|symbolic link|was exchanged/ }, name)
    })
  }
})

t.test('links are followed inside of the directory that the caller names', async t => {
  const path = directory(t)
  const home = join(path, 'model')
  symlinkSync(join(path, 'other', 'weights.bin'), join(home, 'link.bin'))
  t.same(readExternalData(home, located('link.bin'), { root: path }).get('link.bin'), weights)
  t.throws(() => readExternalData(home, located('link.bin'), { root: home }), { code: 'UNTRUSTED_INPUT',
    message: /is a link that leaves/ })
  symlinkSync('/dev/zero', join(home, 'device.bin'))
  t.throws(() => readExternalData(home, located('device.bin'), { root: '/' }), { code: 'UNTRUSTED_INPUT',
    message: /is no regular file/ })
})

t.test('real files with external data', async t => {
  const folder = new URL('../../../../shared/models/onnx/external/', import.meta.url)
  if (!existsSync(folder)) {
    t.comment('The collection of models (../shared/models) is missing.')
    return
  }
  for (const [file, names] of [['external_data.onnx', 2], ['external_data_offset.onnx', 1], [
    'multi_external_files.onnx',
    2,
  ]] as const) {
    const bytes = readFileSync(new URL(file, folder))
    const graph = readOnnx(bytes, { externalData: readExternalData(folder.pathname, bytes) })
    t.equal([...graph.initializers.values()].filter(value => value.dtype === 'float32').length, names, file)
  }
})
