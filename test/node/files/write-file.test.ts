/** @file 54 of the list of attacks: a save that is cut off, by a kill or a full disk, leaves the old file whole. */
import { build } from 'esbuild'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync,
  writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { randomGenerator } from '../../../core/tensor/random.js'
import { writeWhole } from '../../../node/files/write-file.js'
import { HANG } from '../../support/time-limits.js'

const TRIES = Number(process.env['POLYLAPLACE_KILLS'] ?? 8)
const SIZE = 2 << 20

const folder = t.testdir({})
const child = join(folder, 'child.mjs')
await build({ entryPoints: [fileURLToPath(new URL('writing-child.ts', import.meta.url))], outfile: child, bundle: true,
  platform: 'node', format: 'esm', target: 'node20', logLevel: 'error' })

t.test(`54 the file is whole after each of ${TRIES} kills`, { timeout: HANG }, async t => {
  const path = join(folder, 'killed.posterior')
  writeFileSync(path, new Uint8Array(SIZE).fill(255))
  const random = randomGenerator(54)
  const broken: string[] = []
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const writer = spawn(process.execPath, [child, path, String(SIZE)], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(writer.stdout, 'data')
    await new Promise(resolve => setTimeout(resolve, 60 * random.uniform()))
    writer.kill('SIGKILL')
    await once(writer, 'close')
    const bytes = readFileSync(path)
    if (bytes.length !== SIZE || bytes.some(byte => byte !== bytes[0])) broken.push(`${attempt}: ${bytes.length}`)
  }
  t.same(broken, [])
})

t.test('54 a disk that is full, or a quota, leaves the old file and says so', { skip: process.platform === 'win32' },
  t => {
    const path = join(folder, 'full.posterior')
    writeFileSync(path, 'old')
    // The largest file that a process may write stands for the disk: 1024 blocks of 1 KiB.
    const { stdout } = spawnSync('bash', ['-c', `ulimit -f 1024; exec "$0" "$@"`, process.execPath, child, path,
      String(SIZE), 'once'], { encoding: 'utf8' })
    t.match(stdout, /^NOT_WRITTEN Cannot write .*full\.posterior: the file would be larger than is allowed/)
    t.equal(readFileSync(path, 'utf8'), 'old')
    t.same(readdirSync(folder).filter(name => name.endsWith('.tmp') && name.includes('full')), [],
      'nothing is left beside')
    t.end()
  })

t.test('54 the device that is always full', { skip: !existsSync('/dev/full') }, async t => {
  await t.rejects(writeWhole('/dev/full', 'x'), { code: 'NOT_WRITTEN', message: /the disk is full/ })
})

t.test('54 a folder that is not there, links, permissions', { skip: process.platform === 'win32' }, async t => {
  await t.rejects(writeWhole(join(folder, 'nowhere', 'x'), 'x'), { code: 'NOT_WRITTEN', message: /no such folder/ })
  mkdirSync(join(folder, 'is-a-folder'))
  await t.rejects(writeWhole(join(folder, 'is-a-folder'), 'x'), { code: 'NOT_WRITTEN', message: /it is a folder/ })
  const [path, link] = [join(folder, 'private'), join(folder, 'link')]
  writeFileSync(path, 'old')
  chmodSync(path, 0o600)
  symlinkSync(path, link)
  await writeWhole(link, 'new')
  t.equal(readFileSync(path, 'utf8'), 'new')
  t.equal(readlinkSync(link), path, 'a link stays one')
  t.equal(statSync(path).mode & 0o777, 0o600, 'who may read it stays the same')
  const before = process.umask(0o022)
  await writeWhole(join(folder, 'fresh'), 'x')
  process.umask(before)
  t.equal(statSync(join(folder, 'fresh')).mode & 0o777, 0o644)
})
