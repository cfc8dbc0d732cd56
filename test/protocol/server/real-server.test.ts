import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { nodeRuntime } from '../../../node/runtime/runtime.js'
import { tensorFromWire, tensorToWire } from '../../../protocol/frames/arrays.js'
import type { DecodedMap } from '../../../protocol/frames/decoded-map.js'
import type { WireMap } from '../../../protocol/frames/encode.js'
import { allowed, fastest, HANG } from '../../support/time-limits.js'
import { caseFiles } from '../methods/method-calls.js'
import { type Answer, buildServer, type Client, HELLO, pause, startServer } from './server-process.js'

const { file, remove } = buildServer('protocol/worker/worker.ts')
t.teardown(remove)
const iris = caseFiles('tabular-iris')

t.test('a compute thread starts with few files: each costs a millisecond or two', async t => {
  const loaded = new Set(['worker.mjs'])
  for (const name of loaded) {
    const text = readFileSync(join(dirname(file), name), 'utf8')
    for (const [, imported] of text.matchAll(/(?:\bfrom|\bimport)\s?"\.\/([^"]+)"/g)) loaded.add(imported)
  }
  t.ok(loaded.size > 1 && loaded.size <= 8, [...loaded].join(' '))
})

async function greeted(args: readonly string[] = []): Promise<Client> {
  const client = startServer(file, args)
  t.teardown(() => {
    client.child.kill('SIGKILL')
  })
  const { err } = await client.call('hello', HELLO)
  if (err !== undefined) throw new Error(err.message)
  return client
}

/** The `ok` of an answer. */
async function ok(answer: Promise<Answer>): Promise<Record<string, unknown>> {
  const { ok: value, err } = await answer
  if (value === undefined) throw new Error(`${err?.name}: ${err?.message}`)
  return value
}

async function irisModel(client: Client): Promise<string> {
  return String((await ok(client.call('readNetwork', { bytes: iris.bytes })))['handle'])
}

const OPTIONS = { likelihood: 'classification', priorPrecision: 1 } as const

async function irisPosterior(client: Client, model: string, options: WireMap = OPTIONS): Promise<string> {
  return String((await ok(client.call('fit', { model, options, x: iris.x, y: iris.y })))['handle'])
}

/** A network and data whose fit takes many seconds, in batches that take little: 64-200-200-10, all weights. */
/** Waits until a request is worked on, or answered. */
async function progressOf(client: Client, id: number): Promise<void> {
  const told = (note: DecodedMap): boolean => (note['params'] as DecodedMap | undefined)?.['id'] === id
  while (!client.notes.some(told) && client.answers.every(answer => answer.id !== id)) await pause(5)
}

async function longFit(client: Client): Promise<WireMap> {
  const wave = (shape: number[], scale: number): WireMap =>
    tensorToWire(
      float64(shape,
        Float64Array.from({ length: shape[0] * (shape[1] ?? 1) }, (_, i) => scale * Math.sin(i * 1.7 + scale))),
    )
  const sizes = [64, 200, 200, 10]
  const tensors = Object.fromEntries(
    sizes.slice(1).flatMap((out,
      i) => [[`${2 * i}.weight`, wave([out, sizes[i]], 0.05)], [`${2 * i}.bias`, wave([out], 0.01)]]
    ),
  )
  const layers = sizes.slice(1).flatMap((_,
    i) => [...(i === 0 ? [] : [{ type: 'Tanh' }]), { type: 'Linear', name: String(2 * i) }]
  )
  const model = String((await ok(client.call('readNetwork', { layers, tensors })))['handle'])
  const rows = 40_000
  const y = tensorToWire(tensor('int64', [rows], Float64Array.from({ length: rows }, (_, i) => i % 10)))
  // A structure of sums: its batches are worked on as they come.
  const options = { likelihood: 'classification', subset: 'all', structure: 'kron', tune: 'none' }
  return { model, options, x: wave([rows, 64], 1), y }
}

t.test('H1 the first useful answer: hello, a network, a fit, a prediction', async t => {
  const client = await greeted()
  const posterior = await irisPosterior(client, await irisModel(client))
  const answer = await ok(client.call('predict', { posterior, x: iris.xTest }))
  t.same(tensorFromWire(answer['probabilities'], 'p').shape, [38, 3])
  t.match(execFileSync(process.execPath, [file, '--selftest']).toString(), /^All is well: \d+ messages/)
  t.match(execFileSync(process.execPath, [file, '--version']).toString(), /^\d+\.\d+\.\d+\n$/)
  client.child.stdin?.end()
  t.equal((await client.exit).code, 0)
})

t.test('R3 a fit is cancelled within 100 ms and leaves nothing behind; R4 progress; R5 deadline', { timeout: HANG },
  async t => {
    const client = await greeted()
    const request = await longFit(client)
    const model = await irisModel(client)
    const posterior = await irisPosterior(client, model)
    const predict = (): Promise<Record<string, unknown>> =>
      ok(client.call('predict', { posterior, x: iris.xTest, options: { uncertainty: false } }))
    const before = await predict()
    const handles = async (): Promise<number> => ((await ok(client.call('stats')))['handles'] as unknown[]).length
    const count = await handles()
    let id = 9000
    const took = await fastest(200, async () => {
      client.notes.length = 0
      client.send({ t: 'req', id: ++id, method: 'fit', params: request, progress: true })
      await progressOf(client, id)
      t.match(client.notes[0], { method: 'progress',
        params: { id, stage: 'fit', done: Number, total: 40_000, message: String } })
      const start = performance.now()
      client.send({ t: 'note', method: 'cancel', params: { id } })
      const { err } = await client.answer(id)
      t.equal(err?.name, 'CANCELLED')
      return performance.now() - start
    })
    t.ok(took < allowed(200), `${Math.round(took)} ms`)
    const notes = client.notes.length
    const deadline = await client.call('fit', request, { deadline: 300 })
    t.equal(deadline.err?.name, 'DEADLINE')
    t.same(await predict(), before, 'the older posterior is as it was')
    t.equal(client.notes.length, notes, 'no progress after the answer, and none that was not asked for')
    t.equal(await handles(), count, 'nothing is left behind')
    const { handle: fit } = await ok(
      client.call('fitBegin', { model: request['model'], options: request['options'] }),
    ) as { handle: string }
    client.send({ t: 'req', id: 9100, method: 'fitBatch', params: { fit, x: request['x'], y: request['y'] },
      progress: true })
    await progressOf(client, 9100)
    client.send({ t: 'note', method: 'cancel', params: { id: 9100 } })
    t.equal((await client.answer(9100)).err?.name, 'CANCELLED')
    t.match((await client.call('fitEnd', { fit })).err, { name: 'UNKNOWN_HANDLE', message: /its fit has ended/ })
    client.child.stdin?.end()
  })

t.test('P3 P10 kill -9 during a fit, and a parent that is killed: no orphan', { timeout: HANG }, async t => {
  const client = await greeted()
  client.send({ t: 'req', id: 9001, method: 'fit', params: await longFit(client), progress: true })
  const failed = client.answer(9001).then(() => 'answered', () => 'failed')
  await progressOf(client, 9001)
  client.child.kill('SIGKILL')
  t.equal((await client.exit).signal, 'SIGKILL')
  t.equal(await failed, 'failed')
  const script = `
    const child = require('node:child_process').spawn(process.execPath, [${
    JSON.stringify(file)
  }, 'serve'], { stdio: ['pipe', 'ignore', 'inherit'] })
    process.stdout.write(child.pid + '\\n')
    setInterval(() => {}, 60000)`
  const parent = spawn(process.execPath, ['-e', script])
  const [line] = await once(parent.stdout, 'data') as [Buffer]
  const pid = Number(line.toString())
  await pause(300)
  t.ok(alive(pid))
  parent.kill('SIGKILL')
  for (let i = 0; i < HANG / 50 && alive(pid); i++) await pause(50)
  t.notOk(alive(pid), 'the server has ended with its parent')
})

function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

t.test('P10 requests in pieces, pipelined and from two clients get the right answers', async t => {
  const [one, two] = [await greeted(), await greeted()]
  const [first, second] = [await irisModel(one), await irisModel(two)]
  const [a, b] = await Promise.all([irisPosterior(one, first), irisPosterior(two, second)])
  const predict = async (client: Client, posterior: string): Promise<string> => {
    const answer = await ok(client.call('predict', { posterior, x: iris.xTest, options: { uncertainty: false } }))
    return Buffer.from((answer['probabilities'] as { data: Uint8Array }).data).toString('base64')
  }
  const wanted = await predict(one, a)
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? predict(one, a) : predict(two, b))),
  )
  t.ok(answers.every(answer => answer === wanted))
  one.child.kill('SIGSTOP')
  t.equal(await predict(two, b), wanted, 'a server that is stopped does not hold up the other')
  one.child.kill('SIGCONT')
  t.equal(await predict(one, a), wanted)
  one.child.stdin?.end()
  two.child.stdin?.end()
})

t.test('R8 the server and the library give the same bytes for the same seed', async t => {
  const client = await greeted()
  const model = await irisModel(client)
  for (const options of [OPTIONS, { likelihood: 'classification' }, { likelihood: 'classification', tune: 'marglik',
    priorStructure: 'layerwise', structure: 'full', subset: 'all' }] as const) {
    const posterior = await irisPosterior(client, model, options)
    const { samples } = await ok(client.call('sample', { posterior, samples: 3, seed: 2 ** 40 + 1 }))
    const here = await laplace(readOnnx(iris.bytes, {}), options, nodeRuntime).fit(tensorFromWire(iris.x, 'x'),
      tensorFromWire(iris.y, 'y'))
    t.equal(
      Buffer.compare(Buffer.from(tensorFromWire(samples, 'samples').data.buffer),
        Buffer.from(here.sample(3, { seed: 2 ** 40 + 1 }).data.buffer)),
      0,
      JSON.stringify(options),
    )
  }
  client.child.stdin?.end()
})

t.test('a soak of fits and predictions keeps its memory flat', { timeout: HANG }, async t => {
  const client = await greeted()
  const model = await irisModel(client)
  const round = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) {
      const posterior = await irisPosterior(client, model)
      await ok(client.call('predict', { posterior, x: iris.xTest, options: { uncertainty: false } }))
      await ok(client.call('free', { handles: [posterior] }))
    }
    const stats = await ok(client.call('stats'))
    t.equal((stats['handles'] as unknown[]).length, 1)
    return Number(stats['rss']) / 2 ** 20
  }
  await round(150)
  const before = await round(100)
  const after = await round(200)
  t.ok(after < before * 1.15 + 20, `${Math.round(before)} MB, then ${Math.round(after)} MB`)
  client.child.stdin?.end()
})
