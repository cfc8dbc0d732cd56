import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { decodeMessage } from '../../../protocol/frames/decode.js'
import { encodeFrame } from '../../../protocol/frames/encode.js'
import { encodeLine } from '../../../protocol/frames/lines.js'
import { allowed, fastest, HANG } from '../../support/time-limits.js'
import { buildServer, type Client, clientOn, HELLO, pause, startServer } from './server-process.js'

const { file, remove } = buildServer('test/protocol/server/slow-worker.ts')
t.teardown(remove)

/** A server that has been greeted. */
async function greeted(args: readonly string[] = []): Promise<Client> {
  const client = startServer(file, args)
  t.teardown(() => {
    client.child.kill('SIGKILL')
  })
  const { ok } = await client.call('hello', HELLO)
  if (ok === undefined) throw new Error('hello failed')
  return client
}

t.test('H1 nothing is on stdout before hello, and other methods are refused until then', async t => {
  const client = startServer(file)
  await pause(150)
  t.equal(client.answers.length, 0)
  t.equal((await client.call('ping')).err?.name, 'NOT_INITIALIZED')
  const { ok } = await client.call('hello', HELLO)
  t.match(ok, { protocol: 1, server: 'polylaplace', limits: { maxInFlight: 64, maxFrame: 2 ** 30 } })
  t.same(Object.keys(ok ?? {}), ['protocol', 'server', 'version', 'limits', 'methods', 'dtypes', 'features',
    'buildHash'])
  t.equal((await client.call('hello', HELLO)).err?.name, 'PROTOCOL')
  t.same((await client.call('ping', { echo: 'x' })).ok, { echo: 'x' })
  client.child.stdin?.end()
  t.equal((await client.exit).code, 0)
})

t.test('H2 versions: the highest common one, never a downgrade; unknown fields are ignored', async t => {
  const client = startServer(file)
  t.equal((await client.call('hello', { ...HELLO, protocol: [1, 7], later: true }, { extra: 1 })).ok?.['protocol'], 1)
  client.child.stdin?.end()
  const pinned = startServer(file)
  const { err } = await pinned.call('hello', { ...HELLO, protocol: [2, 3] })
  t.equal(err?.name, 'VERSION_MISMATCH')
  t.equal((await pinned.exit).code, 1, 'and the connection ends')
})

t.test('R1 R2 every request is answered once, errors with code, name, message, data', async t => {
  const client = await greeted()
  const { err } = await client.call('predikt')
  t.match(err, { code: 703, name: 'UNKNOWN_METHOD', message: /Did you mean 'predict'/, data: { suggestion: 'predict' },
    retryable: false })
  client.send({ t: 'req', id: 5009, method: 5 })
  t.equal((await client.answer(5009)).err?.name, 'PROTOCOL')
  client.send({ t: 'req', id: 5010, method: 'ping', params: [1] })
  t.equal((await client.answer(5010)).err?.name, 'PROTOCOL')
  client.send({ t: 'req', id: 0, method: 'ping' })
  t.equal((await client.answer(0)).err?.name, 'PROTOCOL')
  await Promise.all(Array.from({ length: 50 }, () => client.call('ping')))
  t.equal(new Set(client.answers.map(answer => answer.id)).size, client.answers.length)
  client.child.stdin?.end()
})

t.test('R1 an id that is under way is refused without an answer to that id', async t => {
  const client = await greeted()
  client.send({ t: 'req', id: 77, method: 'fit', params: { options: { ms: 100 } } })
  client.send({ t: 'req', id: 77, method: 'fit', params: {} })
  t.equal((await client.answer(0)).err?.name, 'PROTOCOL')
  t.ok((await client.answer(77)).ok)
  t.equal(client.answers.filter(answer => answer.id === 77).length, 1)
  client.child.stdin?.end()
})

t.test('R3 a cancelled request is answered within 100 ms, waiting, running and deaf', async t => {
  const client = await greeted(['--workers', '1'])
  await client.call('fit')
  for (const options of [{ ms: 5000 }, { ms: 500, deaf: true }]) {
    const took = await fastest(100, async () => {
      client.send({ t: 'req', id: 501, method: 'fit', params: { options } })
      client.send({ t: 'req', id: 502, method: 'fit', params: {} })
      await pause(60)
      const start = performance.now()
      client.send({ t: 'note', method: 'cancel', params: { id: 502 } })
      client.send({ t: 'note', method: 'cancel', params: { id: 501 } })
      t.equal((await client.answer(502)).err?.name, 'CANCELLED')
      t.equal((await client.answer(501)).err?.name, 'CANCELLED')
      client.answers.length = 0
      return performance.now() - start
    })
    t.ok(took < allowed(100), `${took} ms`)
  }
  const { ok } = await client.call('fit')
  t.match(ok?.['handle'], /^posterior:/, 'the session is usable')
  const { ok: stats } = await client.call('stats')
  t.equal((stats?.['handles'] as unknown[]).length, 2, 'and what the cancelled ones made is gone')
  client.send({ t: 'note', method: 'cancel', params: { id: 12345 } })
  client.send({ t: 'note', method: 'unheard-of', params: {} })
  t.ok((await client.call('ping')).ok, 'cancelling what is not there and unknown notes do nothing')
  client.child.stdin?.end()
})

t.test('R4 progress comes when asked for, at most ten times a second', async t => {
  const client = await greeted()
  await client.call('fit', { options: { ms: 100 } })
  t.equal(client.notes.length, 0)
  // Longer where others had the processors.
  for (let ms = 1500; client.notes.length < 2 && ms < HANG; ms *= 4) {
    client.notes.length = 0
    await client.call('fit', { options: { ms } }, { progress: true })
    t.ok(client.notes.length <= ms / 100 + 1, `${client.notes.length} notes in ${ms} ms`)
  }
  t.ok(client.notes.length >= 2)
  t.match(client.notes[0], { method: 'progress', params: { stage: 'fit', done: Number, total: Number, message: '' } })
  client.child.stdin?.end()
})

t.test('R5 a deadline is kept by the server', async t => {
  const client = await greeted()
  const took = await fastest(400, async () => {
    const start = performance.now()
    t.equal((await client.call('fit', { options: { ms: 1e9 } }, { deadline: 150 })).err?.name, 'DEADLINE')
    return performance.now() - start
  })
  t.ok(took < allowed(400), `${took} ms`)
  t.ok((await client.call('fit', {}, { deadline: HANG })).ok)
  t.equal((await client.call('fit', {}, { deadline: -1 })).err?.name, 'PROTOCOL')
  client.child.stdin?.end()
})

t.test('R6 pings are answered meanwhile; the same handle works in order; more than maxInFlight is BUSY', async t => {
  const client = await greeted(['--max-in-flight', '4'])
  const model = (await client.call('readNetwork')).ok?.['handle'] as string
  client.send({ t: 'req', id: 900, method: 'fit', params: { model, options: { ms: 1e9 } } })
  const took = await fastest(100, async () => {
    const start = performance.now()
    t.ok((await client.call('ping')).ok)
    return performance.now() - start
  })
  t.ok(took < allowed(100), `${took} ms`)
  const second = client.call('fit', { model })
  const others = Array.from({ length: 10 }, () => client.call('fit', { model }))
  // What is BUSY is said at once, before later questions are answered.
  t.ok((await client.call('ping')).ok)
  const busy = client.answers.filter(answer => answer.err?.name === 'BUSY')
  t.equal(busy.length, 8)
  t.ok(busy.every(answer => answer.err?.retryable))
  client.send({ t: 'note', method: 'cancel', params: { id: 900 } })
  t.equal((await client.answer(900)).err?.name, 'CANCELLED')
  const [a, b] = [await second, (await Promise.all(others)).find(answer => answer.ok)]
  t.ok(Number(a.ok?.['ended']) <= Number(b?.ok?.['started']))
  client.child.stdin?.end()
})

t.test('R6 two models compute at the same time', async t => {
  const client = await greeted()
  await client.call('readNetwork')
  client.send({ t: 'req', id: 900, method: 'readNetwork', params: { options: { ms: 1e9 } } })
  t.ok((await client.call('readNetwork')).ok)
  t.notOk(client.answers.some(answer => answer.id === 900), 'the second ended before the first')
  t.equal((await client.call('stats')).ok?.['workers'], 2)
  client.child.stdin?.end()
})

t.test('R6 a client that never reads stops being read, and gets everything when it reads again', async t => {
  const client = await greeted()
  await client.call('readNetwork')
  client.child.stdout?.pause()
  const bytes = 20_000_000
  for (let i = 0; i < 40; i++) {
    client.send({ t: 'req', id: 1000 + i, method: 'predict', params: { options: { bytes } } })
  }
  await pause(1500)
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${client.child.pid}/status`, 'utf8'))?.[1]) / 1024
  client.child.stdout?.resume()
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => client.answer(1000 + i)))
  t.ok(answers.every(answer => (answer.ok?.['data'] as Uint8Array).length === bytes))
  t.ok(rss < 400, `${Math.round(rss)} MB held of 800`)
  client.child.stdin?.end()
})

t.test('R7 handles: counted, freed, limited, never forged', async t => {
  const client = await greeted(['--max-handles', '3'])
  const made = await Promise.all(Array.from({ length: 4 }, () => client.call('readNetwork')))
  t.equal(made.filter(answer => answer.ok).length, 3)
  t.equal(made.find(answer => answer.err)?.err?.name, 'OUT_OF_MEMORY')
  const [model, other] = made.flatMap(answer => answer.ok?.['handle'] as string | undefined ?? [])
  t.equal((await client.call('stats')).ok?.['handles'] instanceof Array, true)
  t.equal((await client.call('free', { handles: [model, 'model:999', 5] })).ok?.['freed'], 1)
  t.match((await client.call('fit', { model })).err, { name: 'UNKNOWN_HANDLE', message: /has been freed/ })
  t.match((await client.call('fit', { model: 'model:999' })).err, { name: 'UNKNOWN_HANDLE' })
  t.match((await client.call('predict', { posterior: other })).err, { name: 'UNKNOWN_HANDLE', message: /is a model/ })
  const answers = client.answers.length
  client.send({ t: 'note', method: 'free', params: { handles: [other, 'model:999'] } })
  t.match((await client.call('forward', { model: other })).err, { name: 'UNKNOWN_HANDLE', message: /has been freed/ })
  t.equal(client.answers.length, answers + 1, 'a note has no answer')
  t.match((await client.call('predict', { posterior: 7 })).err, { name: 'UNKNOWN_HANDLE' })
  t.match((await client.call('predict', { posterior: '__proto__' })).err, { name: 'UNKNOWN_HANDLE' })
  client.child.stdin?.end()
})

t.test('P1 what a dependency prints goes to stderr and never into the stream', async t => {
  // A real pipe, as other languages make them: Node gives its children sockets.
  const child = spawn('sh', ['-c',
    `exec 3>&1; { "${process.execPath}" "${file}" serve 2>&4 | cat >&3; } 4>&1 | cat >&2`])
  const client = clientOn(child, child.stdout, child.stdin)
  await client.call('hello', HELLO)
  t.ok((await client.call('fit', { options: { print: true, descriptor: true } })).ok)
  t.ok((await client.call('ping')).ok)
  await pause(50)
  for (const text of ['printed by console.log', 'printed by process.stdout', 'written to descriptor 1']) {
    t.match(client.stderr(), text)
  }
  client.child.stdin?.end()
})

t.test('P2 a stderr that nobody reads and then closes does not stop the server', async t => {
  const child = spawn(process.execPath, [file, 'serve'], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stderr.destroy()
  const client = clientOn(child, child.stdout, child.stdin)
  await client.call('hello', HELLO)
  for (let i = 0; i < 20; i++) await client.call('fit', { options: { print: true } })
  t.ok((await client.call('ping')).ok)
  child.stdin.end()
  t.equal((await client.exit).code, 0)
})

t.test('P3 the end of stdin ends the process within 200 ms, even while computing', async t => {
  const took = await fastest(200, async () => {
    const client = await greeted()
    client.send({ t: 'req', id: 900, method: 'fit', params: { options: { ms: 1e9, deaf: true } } })
    await pause(100)
    const start = performance.now()
    client.child.stdin?.end()
    const { code, at } = await client.exit
    t.equal(code, 0)
    return at - start
  })
  t.ok(took < allowed(200), `${took} ms`)
})

t.test('P3 the server ends when the client of hello.pid has died, although its stdin stays open', { timeout: HANG },
  async t => {
    const helper = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60000)'])
    const client = startServer(file)
    await client.call('hello', { ...HELLO, pid: helper.pid ?? 0 })
    helper.kill('SIGKILL')
    t.equal((await client.exit).code, 0)
    t.match(client.stderr(), 'has ended')
  })

t.test('P3 EPIPE ends the process', async t => {
  const client = await greeted()
  client.child.stdout?.destroy()
  for (let i = 0; i < 100; i++) client.send({ t: 'req', id: 100 + i, method: 'ping' })
  t.equal((await client.exit).code, 0)
})

t.test('P4 a last long answer is not cut off by shutdown', async t => {
  const client = await greeted()
  await client.call('predict')
  client.child.stdout?.pause()
  const long = client.call('predict', { options: { bytes: 30_000_000 } })
  await pause(600)
  client.send({ t: 'req', id: 4000, method: 'shutdown', params: {} })
  await pause(50)
  client.child.stdout?.resume()
  t.equal(((await long).ok?.['data'] as Uint8Array).length, 30_000_000)
  t.ok((await client.answer(4000)).ok)
  t.equal((await client.exit).code, 0)
})

t.test('R1 shutdown answers what is under way', async t => {
  const client = await greeted(['--workers', '1'])
  const running = client.call('fit', { options: { ms: 20_000, deaf: true } })
  const waiting = client.call('fit')
  await pause(50)
  t.ok((await client.call('shutdown')).ok)
  for (const answer of [running, waiting]) t.match((await answer).err, { name: 'CANCELLED', message: /shut down/ })
  t.equal((await client.exit).code, 0)
})

t.test('P6 P7 a compute thread that dies or runs out of memory fails its requests, and the server lives', async t => {
  const client = await greeted(['--heap', '64'])
  const model = (await client.call('readNetwork')).ok?.['handle'] as string
  t.equal((await client.call('fit', { model, options: { fill: true } })).err?.name, 'OUT_OF_MEMORY')
  t.match((await client.call('fit', { model })).err, { name: 'UNKNOWN_HANDLE', message: /ran out of memory/ })
  t.equal((await client.call('fit', { options: { die: true } })).err?.name, 'INTERNAL')
  t.ok((await client.call('fit')).ok)
  client.child.stdin?.end()
})

t.test('49 a thread that does not stop is replaced: what is lost is told, the rest of the queue goes on', async t => {
  for (const [how, name] of [['cancel', 'CANCELLED'], ['deadline', 'DEADLINE']] as const) {
    const client = await greeted(['--workers', '1', '--thread-grace', '300'])
    const model = (await client.call('readNetwork')).ok?.['handle'] as string
    const params = { options: { ms: 1e9, deaf: true } }
    client.send({ t: 'req', id: 900, method: 'fit', params, ...(how === 'deadline' ? { deadline: 50 } : {}) })
    client.send({ t: 'req', id: 901, method: 'fit', params: { model } })
    const free = client.call('fit')
    if (how === 'cancel') client.send({ t: 'note', method: 'cancel', params: { id: 900 } })
    t.equal((await client.answer(900)).err?.name, name)
    t.match((await client.answer(901)).err, { name: 'UNKNOWN_HANDLE', message: /did not stop/,
      data: { handle: model } }, 'it needs what is lost')
    t.ok((await free).ok, 'it needs nothing')
    t.match(client.notes.find(note => note['method'] === 'lost'), {
      params: { handles: [model], reason: /did not stop/ },
    })
    t.match((await client.call('fit', { model })).err, { name: 'UNKNOWN_HANDLE', message: /did not stop/ })
    t.same((await client.call('stats')).ok?.['workers'], 1)
    client.child.stdin?.end()
    t.equal((await client.exit).code, 0)
  }
})

t.test('49 a client that vanishes ends a server whose thread nothing can end', async t => {
  for (const end of [(client: Client) => client.child.stdin?.end(), (client: Client) => client.child.kill('SIGTERM')]) {
    const client = await greeted(['--workers', '1', '--thread-grace', '100'])
    client.send({ t: 'req', id: 900, method: 'fit', params: { options: { native: true } } })
    client.send({ t: 'note', method: 'cancel', params: { id: 900 } })
    t.equal((await client.answer(900)).err?.name, 'CANCELLED')
    t.ok((await client.call('fit')).ok, 'another thread goes on with the queue')
    const start = performance.now()
    end(client)
    // The thread would work for 60 s.
    t.ok((await client.exit).at - start < 50_000)
  }
})

t.test('49 new work goes round a thread that does not stop; one that stops late loses nothing', async t => {
  const client = await greeted(['--workers', '2'])
  const model = (await client.call('readNetwork')).ok?.['handle'] as string
  client.send({ t: 'req', id: 900, method: 'fit', params: { model, options: { ms: 1500, deaf: true } } })
  client.send({ t: 'note', method: 'cancel', params: { id: 900 } })
  t.equal((await client.answer(900)).err?.name, 'CANCELLED')
  for (let i = 0; i < 3; i++) t.ok((await client.call('fit')).ok)
  t.notOk(client.answers.some(answer => answer.id === 900 && answer.ok !== undefined))
  t.ok((await client.call('fit', { model })).ok, 'when the thread has stopped its handles are there')
  client.child.stdin?.end()
})

t.test('F1 faults of the stream are answered and end the connection', async t => {
  const cases: [string, Uint8Array, boolean][] = [
    ['a claim of 3 GB', Uint8Array.of(0, 0x5e, 0xd0, 0xb2), false],
    ['length 0', Uint8Array.of(0, 0, 0, 0), false],
    ['half a frame, then the end', Uint8Array.of(50, 0, 0, 0, 0x81), true],
    ['no msgpack', encodeFrame({}).map((byte, i) => (i === 4 ? 0xc1 : byte)), false],
  ]
  for (const [name, bytes, end] of cases) {
    const client = await greeted()
    client.write(bytes)
    if (end) client.child.stdin?.end()
    t.match((await client.answer(0)).err?.name, /PROTOCOL|UNTRUSTED_INPUT/, name)
    t.equal((await client.exit).code, 1, name)
  }
})

t.test('P10 bytes one at a time, 10,000 pipelined pings, two clients', async t => {
  const slow = startServer(file)
  for (const byte of encodeFrame({ t: 'req', id: 1, method: 'hello', params: HELLO })) {
    slow.write(Uint8Array.of(byte))
    await pause(0)
  }
  t.ok((await slow.answer(1)).ok)
  const other = await greeted()
  for (let id = 2; id <= 10_001; id++) slow.send({ t: 'req', id, method: 'ping', params: { echo: id } })
  t.same((await slow.answer(10_001)).ok, { echo: 10_001 })
  t.equal(slow.answers.length, 10_001)
  t.ok(slow.answers.every((answer, i) => answer.id === i + 1))
  t.ok((await other.call('ping')).ok)
  slow.child.stdin?.end()
  other.child.stdin?.end()
})

t.test('P10 SIGSTOP and SIGCONT', async t => {
  const client = await greeted()
  client.child.kill('SIGSTOP')
  const answers = Array.from({ length: 100 }, () => client.call('ping'))
  await pause(150)
  client.child.kill('SIGCONT')
  t.ok((await Promise.all(answers)).every(answer => answer.ok))
  client.child.stdin?.end()
})

t.test('P10 Ctrl-C of the terminal does not reach the server, SIGTERM ends it', async t => {
  const client = await greeted()
  client.child.kill('SIGINT')
  await pause(50)
  t.ok((await client.call('ping')).ok)
  client.child.kill('SIGTERM')
  t.equal((await client.exit).code, 0)
})

t.test('H1 the loopback transport: one line with the port, a token, one connection', async t => {
  const start = async (token: string | undefined): Promise<{ client: Client, port: number, lines: () => string }> => {
    const child = spawn(process.execPath, [file, 'serve', '--transport', 'tcp-loopback'], {
      env: { ...process.env, ...(token === undefined ? {} : { POLYLAPLACE_TOKEN: token }) },
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    const socket = connect(Number(text), '127.0.0.1')
    socket.on('error', () => undefined)
    return { client: clientOn(child, socket, socket), port: Number(text), lines: () => text }
  }
  const token = '0123456789abcdef0123'
  const { client, port, lines } = await start(token)
  t.ok((await client.call('hello', { ...HELLO, token })).ok)
  const second = connect(port, '127.0.0.1')
  await once(second, 'error')
  t.ok((await client.call('fit', { options: { print: true } })).ok)
  t.equal(lines(), `${port}\n`)
  await client.call('shutdown')
  t.equal((await client.exit).code, 0)
  const { client: uninvited } = await start(token)
  t.equal((await uninvited.call('hello', { ...HELLO, token: 'something else......' })).err?.name, 'NOT_INITIALIZED')
  t.equal((await uninvited.exit).code, 1)
  const child = spawn(process.execPath, [file, 'serve', '--transport', 'tcp-loopback'], { env: {} })
  t.equal((await once(child, 'exit'))[0], 1, 'no token, no server')
})

t.test('answers to a named pipe, and lines of base64', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'polylaplace-'))
  const fifo = join(folder, 'answers')
  execFileSync('mkfifo', [fifo])
  const child = spawn(process.execPath, [file, 'serve', '--transport', 'fifo', '--output', fifo, '--framing',
    'base64-lines'])
  child.stdin.write(encodeLine(encodeFrame({ t: 'req', id: 1, method: 'hello', params: HELLO })))
  const reader = spawn('cat', [fifo])
  const [line] = await once(reader.stdout, 'data') as [Buffer]
  t.match(decodeMessage(Buffer.from(line.toString(), 'base64').subarray(4)), { t: 'res', id: 1, ok: { protocol: 1 } })
  child.stdin.end()
  t.equal((await once(child, 'exit'))[0], 0)
  reader.kill()
})

t.test('wrong options are answered with exit code 2', async t => {
  for (const args of [['--transport', 'stdoi'], ['--max-frame', 'x'], ['--unknown'], ['--transport', 'fifo']]) {
    const client = startServer(file, args)
    t.equal((await client.exit).code, 2, args.join(' '))
    t.match(client.stderr(), 'Usage')
  }
  t.match(execFileSync(process.execPath, [file, '--version']).toString(), /^\d+\.\d+\.\d+\n$/)
})
