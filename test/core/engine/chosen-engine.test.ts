import t from 'tap'
import { chosenEngine } from '../../../core/engine/chosen-engine.js'
import type { Engine } from '../../../core/engine/engine.js'
import { typescriptEngine } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { tensor } from '../../../core/tensor/tensor.js'

const b = new GraphBuilder('float32')
const graph = b.build([b.node('Relu', [b.input('x', [BATCH, 2])])])
const inputs = new Map([['x', tensor('float32', [1, 2], [-1, 3])]])
const [output] = graph.outputs

/** An engine of the other name, which counts its runs. */
function counted(): { readonly engine: Engine, readonly runs: () => number } {
  let runs = 0
  const own = typescriptEngine()
  return { runs: () => runs, engine: { name: 'onnxruntime', compile: async (of, precision) => {
    const program = await own.compile(of, precision)
    return { ...program, run: (x, options) => {
      runs++
      return program.run(x, options)
    } }
  } } }
}

void t.test('a program that ran before work was announced follows the choice that the work makes', async t => {
  const other = counted()
  const provider = {
    engine: async (
      { multiplications }: { readonly multiplications: number },
    ) => (multiplications >= 100 ? other.engine : undefined),
  }
  const engine = chosenEngine({ name: 'auto', threads: 1 }, 'float32', provider)
  const program = await engine.compile(graph, 'float32')
  const check = async (runs: number): Promise<void> => {
    t.strictSame([...(await program.run(inputs)).get(output)?.data ?? []], [0, 3])
    t.equal(other.runs(), runs)
  }
  await check(0)
  t.equal(await engine.announceWork(60), 'typescript')
  await check(0)
  t.equal(await engine.announceWork(60), 'onnxruntime')
  t.equal(engine.name, 'onnxruntime')
  await check(1)
  t.equal(await engine.announceWork(0), 'onnxruntime', 'and stays there')
  await check(2)
})

void t.test('work that is expected chooses as if it had been announced, and counts once', async t => {
  const asked: number[] = []
  const engine = chosenEngine({ name: 'auto', threads: 1 }, 'float32', { engine: async ({ multiplications }) => {
    asked.push(multiplications)
    return undefined
  } })
  await engine.expectWork(60)
  await engine.announceWork(60)
  await engine.expectWork(5)
  t.strictSame(asked, [60, 60, 65])
})

void t.test('an engine that was asked for by name is asked for once', async t => {
  let asked = 0
  const engine = chosenEngine({ name: 'typescript', threads: 1 }, 'float32', { engine: async () => {
    asked++
    return undefined
  } })
  for (let i = 0; i < 3; i++) t.equal(await engine.announceWork(1e12), 'typescript')
  t.equal(asked, 1)
  await t.rejects(chosenEngine({ name: 'onnxruntime', threads: 1 }, 'float32', {}).announceWork(1), {
    code: 'MISSING_DEPENDENCY',
  })
})
