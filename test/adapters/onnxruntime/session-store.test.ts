/** @file Which sessions are shared, and when they are released. */
import t from 'tap'
import { onnxRuntimeEngine } from '../../../adapters/onnxruntime/engine.js'
import { sessionStore } from '../../../adapters/onnxruntime/session-store.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { tensor } from '../../../core/tensor/tensor.js'

/** A maker of sessions that tells what was made and released. */
function maker() {
  const events: string[] = []
  return { events, make: (name: string) => async () => {
    events.push(`+${name}`)
    return { release: async () => {
      events.push(`-${name}`)
    } }
  } }
}

const nothing = async (): Promise<void> => undefined
/** Releases are not waited for. */
const settled = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await undefined
}

t.test('a session is shared until the last has left', async t => {
  const { events, make } = maker()
  const store = sessionStore()
  store.enter('a')
  store.enter('a')
  await store.use('a', make('a'), nothing)
  await store.use('a', make('a'), nothing)
  store.leave('a')
  await settled()
  t.strictSame(events, ['+a'])
  store.leave('a')
  await settled()
  t.strictSame(events, ['+a', '-a'])
})

t.test('what is left while it runs is released after that', async t => {
  const { events, make } = maker()
  const store = sessionStore()
  store.enter('a')
  await store.use('a', make('a'), async () => {
    store.leave('a')
    await settled()
    t.strictSame(events, ['+a'])
  })
  await settled()
  t.strictSame(events, ['+a', '-a'])
})

t.test('the sessions that were used last are held, others are made again', async t => {
  const { events, make } = maker()
  const store = sessionStore(2)
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) {
    store.enter(name)
    await store.use(name, make(name), nothing)
  }
  await settled()
  t.strictSame(events, ['+a', '+b', '+c', '-b', '+b', '-c'])
})

t.test('a session that could not be made is tried again', async t => {
  const { events, make } = maker()
  const store = sessionStore()
  store.enter('a')
  await t.rejects(store.use('a', async () => {
    throw new Error('no kernel')
  }, nothing), { message: 'no kernel' })
  await store.use('a', make('a'), nothing)
  t.strictSame(events, ['+a'])
})

t.test('programs of equal graphs share a session; of other weights, also in place, and other threads none', async t => {
  const runtime = await import('onnxruntime-node').then(module => module.default ?? module)
  let made = 0
  const counted = { ...runtime, InferenceSession: { create: async (bytes: Uint8Array, options: object) => {
    made++
    return runtime.InferenceSession.create(bytes, options)
  } } }
  const weights = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i))
  const graph = (values: Float32Array): Graph => {
    const b = new GraphBuilder('float32')
    return b.build([
      b.node('MatMul', [b.input('x', [BATCH, 64]), b.constant(tensor('float32', [64, 64], values), 'w')]),
    ])
  }
  const x = new Map([['x', tensor('float32', [2, 64], Float32Array.from({ length: 128 }, (_, i) => Math.cos(i)))]])
  const open = async (values: Float32Array, threads = 1) => {
    const engine = await onnxRuntimeEngine({ threads, load: async () => counted })
    const program = await engine.compile(graph(values), 'float32')
    return { program, first: [...(await program.run(x)).values()][0]?.data[0] }
  }
  const [first, second] = [await open(weights), await open(weights.slice())]
  t.equal(made, 1)
  t.equal(first.first, second.first)
  await open(weights, 2)
  t.equal(made, 2)
  weights[0]! += 1
  const changed = await open(weights)
  t.equal(made, 3)
  t.not(changed.first, first.first)
  first.program.dispose()
  second.program.dispose()
  await new Promise(resolve => setImmediate(resolve))
  await open(weights.map((value, i) => (i === 0 ? value - 1 : value)))
  t.equal(made, 4)
})
