/**
 * @file Are predictions better with no option set? Trains networks on tables, fits posteriors, and writes the tables of
 * docs/usefulness.md.
 *
 *     npm run bench:usefulness                  all tables and kinds of training, two splits: some minutes
 *     npm run bench:usefulness -- --quick       three tables, to see that everything runs; the page is not changed
 *     npm run bench:usefulness -- --seed 5      other splits and other weights
 *
 * Needs a Python with numpy and scikit-learn: POLYLAPLACE_PYTHON, else .venv, else `python3`. The same seed gives the
 * same tables. laplace-torch is asked itself where .venv-bench (bench/setup.sh), .venv-peers or the folder of
 * --environment has it; elsewhere the posterior of its defaults is computed here, and the page says which.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { answersOf } from './answers.mjs'
import { writeUsefulness } from './report.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, seed: { type: 'string', default: '0' },
    environment: { type: 'string', default: '.venv-bench' } },
})
const folder = join(root, 'bench/results/usefulness')
await mkdir(folder, { recursive: true })
const kind = options.quick ? 'quick' : 'full'
const file = join(folder, `networks-${kind}-${options.seed}.json`)
say('Training the networks')
execFileSync(python(), [join(root, 'bench/usefulness/networks.py'), file, '--seed', options.seed,
  ...options.quick ? ['--quick'] : []], { stdio: 'inherit' })

const peers = laplaceTorchAnswers()

const records = []
for (const cell of JSON.parse(await readFile(file, 'utf8'))) {
  say(`${cell.table}, split ${cell.seed}`)
  for (const network of cell.networks) {
    records.push({ table: cell.table, seed: cell.seed, classes: cell.classes, kind: network.kind, calm: network.calm,
      answers: await answersOf(cell, network, peers?.[records.length]) })
  }
}
await writeFile(join(folder, `${kind}.json`), `${JSON.stringify(records, null, 1)}\n`)
say(`Written: ${await writeUsefulness(records, kind, peers !== undefined)}`)
const failures = records.filter(({ answers }) => answers['no option'].error !== undefined)
for (const { table, kind: training, answers } of failures) say(`${table}, ${training}: ${answers['no option'].error}`)
process.exitCode = failures.length === 0 ? 0 : 1

/** The answers of laplace-torch, a network each; undefined where it is not installed. */
function laplaceTorchAnswers() {
  const executable = [options.environment, '.venv-peers'].map(folder => resolve(root, folder, 'bin/python')).find(has)
  if (executable === undefined) return undefined
  say('Asking laplace-torch')
  const answers = join(folder, `laplace-torch-${kind}.json`)
  execFileSync(executable, ['-W', 'ignore', join(root, 'bench/usefulness/laplace_torch.py'), file, answers], {
    stdio: 'inherit',
  })
  return JSON.parse(readFileSync(answers, 'utf8'))
}

/** Whether a Python is there and has laplace-torch. */
function has(executable) {
  return existsSync(executable) && spawnSync(executable, ['-c', 'import laplace']).status === 0
}

function python() {
  const own = join(root, '.venv/bin/python')
  return process.env.POLYLAPLACE_PYTHON ?? (existsSync(own) ? own : 'python3')
}

function say(text) {
  process.stderr.write(`${text}\n`)
}
