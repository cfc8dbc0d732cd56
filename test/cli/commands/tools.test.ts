import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { graphPicture } from '../../../cli/output/graph-picture.js'
import { fittingTable, table } from '../../../cli/output/table.js'
import { readContainer } from '../../../core/storage/read-container.js'
import { run } from '../../support/command-line.js'

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url))
const folder = t.testdir({})
const model = (name: string): string => join(fixtures, 'cases', name, 'model.onnx')

const COMPLETED: readonly [line: string, completions: readonly string[]][] = [
  ['ev', ['evaluate']],
  ['con', ['conformalize', 'convert']],
  ['fit --likeli', ['--likelihood']],
  ['fit --likelihood re', ['regression']],
  ['predict a --format ', ['csv', 'json', 'npy', 'parquet']],
  ['predict a --hel', ['--help']],
  ['completion f', ['fish']],
  ['fit some', ['some rows.csv']],
  ['fit --likelihood=re', ['regression']],
  ['predict a --format=', ['csv', 'json', 'npy', 'parquet']],
  ['fit --data=some', ['some rows.csv']],
]

/** The completions of each line by a shell that reads our script. */
async function completedBy(shell: string, at: string, lines: readonly string[]): Promise<string[][]> {
  const script = join(at, `completion.${shell}`)
  writeFileSync(script, (await run('completion', shell)).out)
  const program = fileURLToPath(new URL(`./complete.${shell}`, import.meta.url))
  const out = execFileSync(shell, [NO_SETTINGS[shell], program, script, ...lines], { cwd: at, encoding: 'utf8',
    env: { ...process.env, HOME: at, TERM: 'dumb' } })
  return out.split('\n--\n').slice(0, -1).map(part =>
    // Some shells offer the word alone, some the option with it.
    part.split('\n').filter(line => line !== '').map(line => line.replaceAll('\\', '').replace(/^--[\w-]+=/, ''))
      .sort()
  )
}

const NO_SETTINGS: Readonly<Record<string, string>> = { bash: '--norc', zsh: '-f', fish: '--no-config' }

for (const shell of Object.keys(NO_SETTINGS)) {
  const isHere = spawnSync(shell, ['-c', 'true']).error === undefined
  t.test(`${shell} completes commands, options, words and names of files`, {
    skip: isHere ? false : `${shell} is not here`,
  }, async t => {
    const at = t.testdir({ 'some rows.csv': '', 'other.csv': '' })
    const found = await completedBy(shell, at, COMPLETED.map(([line]) => `polylaplace ${line}`))
    COMPLETED.forEach(([line, expected], i) => t.same(found[i], expected, line))
  })
}

t.test('a shell that has no script is refused', async t => {
  t.match(await run('completion', 'tcsh'), { code: 2, remarks: /bash/ })
})

t.test('convert writes files of 0.1.0 as today, with a digest, and takes the network out and in', async t => {
  const [old] = readdirSync(join(fixtures, 'posteriors-0.1.0')).filter(name => name.endsWith('.posterior'))
  const now = join(folder, 'now.posterior')
  const converted = await run('convert', join(fixtures, 'posteriors-0.1.0', old), '--out', now, '--json')
  t.equal(converted.code, 0, converted.remarks)
  const again = JSON.parse((await run('convert', now, '--out', join(folder, 'again.posterior'), '--json')).out)
  t.equal(again.digest, JSON.parse(converted.out).digest)
  t.same(readFileSync(join(folder, 'again.posterior')), readFileSync(now), 'today to today changes nothing')
  t.ok(readContainer('posterior', readFileSync(now)))
  const without = await run('convert', now, '--without-network', '--out', join(folder, 'small.posterior'), '--json')
  t.ok(JSON.parse(without.out).bytes < readFileSync(now).length)
  const needed = await run('convert', join(folder, 'small.posterior'), '--out', now)
  t.match(needed, { code: 2, remarks: /network/ })
  t.match(await run('convert', model('cnn'), '--out', now), { code: 1, remarks: /posterior/ })
})

t.test('the picture of a graph: values that are still needed are lanes', async t => {
  const { out } = await run('inspect', model('residual'))
  const lines = out.slice(out.indexOf('Graph\n') + 6, out.indexOf('Layers')).trimEnd().split('\n').map(line =>
    line.slice(2)
  )
  t.same(lines.map(line => line.slice(0, 5).trimEnd()), ['●  x', '●  Ge', '├─╮', '│ ●', '│ ●', '│ ├─╮', '│ │ ●',
    '│ │ ●', '│ │ ●', '│ │ ●', '│ ├─╯', '│ ●', '│ ●', '├─╯', '●  Ad', '●  La', '●  Ge'])
  t.match(lines.at(-1), /Gemm \(head\.weight 3 x 6, head\.bias 3\) {2}N x 3 {2}= f/)
  const value = (name: string) => ({ name, dtype: 'float32', shape: [] } as const)
  const node = (inputs: string[], outputs: string[]) => ({ op: 'Op', inputs, outputs, attributes: {} })
  const graph = { inputs: [value('a'), value('b'), value('c')], outputs: ['f'], initializers: new Map(), parameters: [],
    notes: [] }
  const crossing = { ...graph, nodes: [node(['a', 'c'], ['d']), node(['b'], ['e']), node(['d', 'e'], ['f'])] }
  t.same(graphPicture(crossing, () => '', 40, true), ['●  a', '│ ●  b', '│ │ ●  c', '├─│─╯', '● │  Op', '│ ●  Op',
    '├─╯', '●  Op  = f'])
  const chain = { ...graph, outputs: ['v99'],
    nodes: Array.from({ length: 100 }, (_, i) => node([i === 0 ? 'a' : `v${i - 1}`], [`v${i}`])) }
  const cut = graphPicture(chain, () => '', 40, false)
  t.match(cut[43], /50 more nodes; --graph/)
  t.equal(graphPicture(chain, () => '', 40, true).length, 103)
  t.ok(graphPicture(chain, () => 'x'.repeat(90), 40, true).every(line => line.length <= 40))
})

t.test('a table that is wider than the terminal is cut into parts, each with the names of its rows', async t => {
  const rows = [['row', 'aaaa', 'bbbb', 'cccc'], ['0', '1', '2', '3']]
  t.equal(fittingTable(rows, Infinity), table(rows))
  const parts = fittingTable(rows, 17).split('\n\n')
  t.same(parts, [table([['row', 'aaaa', 'bbbb'], ['0', '1', '2']]), table([['row', 'cccc'], ['0', '3']])])
})
