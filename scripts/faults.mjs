// Does faults to the clients and their servers, again and again, and prints how the calls ended; the table goes into
// docs/security.md. `npm run faults -- --only NAME,NAME` and `--client R` do some of it, and the others keep their
// rows; `--quick` does a twentieth of it, and writes nothing.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, client: { type: 'string' } },
})
const wanted = values.only?.split(',')
const venv = join(root, '.venv/bin/python')
const python = existsSync(venv) ? venv : 'python3'

/** What is done how often, by which client, and which ends are right. */
const FAULTS = [
  { name: 'ctrl-c', client: 'Python', times: 1000, family: 55, what: 'Ctrl-C at a random instant, script',
    right: ['KeyboardInterrupt'] },
  { name: 'ctrl-c-loop', client: 'Python', times: 200, family: 55, what: 'the same in an event loop, as in Jupyter',
    right: ['KeyboardInterrupt'] },
  { name: 'ctrl-c-repl', client: 'Python', times: 100, family: 55, what: 'the same at the terminal of `python -i`',
    right: ['kept'] },
  { name: 'ctrl-c', client: 'R', times: 1000, family: 55, what: 'Ctrl-C at a random instant', right: ['interrupted'] },
  { name: 'kill-9', client: 'Python', times: 200, family: 'P6', what: 'kill -9 of the server',
    right: ['ServerCrashedError', 'StateError', 'gone is told'] },
  { name: 'kill-9', client: 'R', times: 200, family: 'P6', what: 'kill -9 of the server', right: ['typed error'] },
  { name: 'threads', client: 'Python', times: 100, family: 56, what: 'threads on one client', right: ['served'] },
  { name: 'processes', client: 'Python', times: 100, family: 56, what: 'forked processes, server running',
    right: ['served'] },
  { name: 'processes-unstarted', client: 'Python', times: 100, family: 56, what: 'forked processes, server not started',
    right: ['served'] },
  { name: 'processes', client: 'R', times: 100, family: 56, what: 'forked processes, server running',
    right: ['served'] },
  { name: 'processes-unstarted', client: 'R', times: 100, family: 56, what: 'forked processes, server not started',
    right: ['served'] },
  { name: 'stops', client: 'Python', times: 200, family: 'P10', what: 'SIGSTOP and SIGCONT during a fit',
    right: ['right'] },
  { name: 'closed-pipes', client: 'Python', times: 40, family: 'P3', what: 'a pipe is closed during a fit',
    right: ['ended'] },
  { name: 'slow-reader', client: 'Python', times: 60, family: 'R6', what: 'a client that sends much and reads slowly',
    right: ['answered', 'BUSY'] },
  { name: 'little-memory', client: 'Python', times: 100, family: 61, what: 'fits of all sizes with 256 MB',
    right: ['served', 'OUT_OF_MEMORY', 'DEADLINE'] },
  { name: 'clock-jumps', client: 'Python', times: 100, family: 'R5', what: 'the time of day jumps by up to an hour',
    right: ['served'] },
  { name: 'full-disk', client: 'Python', times: 200, family: 54, what: 'saves for which there is no space',
    right: ['error'] },
  { name: 'quota', client: 'Python', times: 200, family: 54, what: 'saves beyond a quota (EDQUOT)', right: ['error'] },
  { name: 'soak', client: 'Python', times: 10_000, family: 'R7', what: 'fits and predictions in a row',
    right: ['fitted'] },
]

/** Longest time of one fault in milliseconds: what goes on after it hangs. */
const LONGEST = 3_600_000

/** A folder with the R package, where there is R. */
function installR() {
  if (spawnSync('Rscript', ['--version']).error !== undefined) return undefined
  const library = mkdtempSync(join(tmpdir(), 'polylaplace-r-'))
  execFileSync('R', ['CMD', 'INSTALL', '--no-docs', '-l', library, join(root, 'clients/r')], { stdio: 'ignore' })
  return library
}

/** Runs one fault; the last line that is printed is a map with `ends`, how often which end came. */
function run({ name, client }, times, library) {
  const [command, ...args] = client === 'R'
    ? ['Rscript', join(root, 'clients/r/tests/testthat/faults.R'), name, String(times)]
    : [python, join(root, 'clients/python/tests/faults.py'), name, String(times)]
  const begin = performance.now()
  const env = { ...process.env, PYTHONPATH: join(root, 'clients/python/src'), ...(library ? { R_LIBS: library } : {}) }
  const { stdout, stderr, status, error } = spawnSync(command, args, { encoding: 'utf8', env, maxBuffer: 2 ** 26,
    timeout: LONGEST, killSignal: 'SIGKILL' })
  const seconds = (performance.now() - begin) / 1000
  if (error !== undefined) return { fault: error.code === 'ETIMEDOUT' ? 'did not end' : error.message, seconds }
  const line = stdout.trim().split('\n').at(-1) ?? ''
  if (status !== 0 || !line.startsWith('{')) {
    return { fault: stderr.trim().split('\n').at(-1) ?? `exit code ${status}`, seconds }
  }
  return { ...JSON.parse(line), seconds }
}

const chosen = FAULTS.filter(({ name, client }) =>
  (wanted?.includes(name) ?? true) && (values.client ?? client) === client
)
const library = chosen.some(({ client }) => client === 'R') ? installR() : undefined
const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).stdout.trim()
const rows = []
let failed = 0
for (const fault of chosen) {
  if (fault.client === 'R' && library === undefined) continue
  const times = values.quick ? Math.max(2, Math.ceil(fault.times / 20)) : fault.times
  const { ends = {}, seconds, fault: broken, ...more } = run(fault, times, library)
  const wrong = Object.keys(ends).filter(end => !fault.right.includes(end))
  const good = broken === undefined && wrong.length === 0
  if (!good) failed++
  const told = broken ??
    [ends, more].flatMap(Object.entries).map(([key, value]) =>
      `${key}: ${typeof value === 'object' ? JSON.stringify(value) : value}`
    ).join(', ')
  rows.push(
    `| ${fault.family} | ${fault.what} | ${fault.client} | ${times} | ${good ? 'yes' : '**no**'} | ${told} | ${
      seconds.toFixed(0)
    } s | ${new Date().toISOString().slice(0, 10)}, ${commit} |`,
  )
  if (!values.quick) writeRow(rows.at(-1))
  console.log(rows.at(-1))
}
if (library !== undefined) rmSync(library, { recursive: true, force: true })

process.exitCode = failed === 0 ? 0 : 1

/** Puts a row of the table in the place of the last one of this fault and client. */
function writeRow(row) {
  const page = join(root, 'docs/security.md')
  const [, fault, client] = row.split(' | ')
  const [before, table, after] = readFileSync(page, 'utf8').split(/(?<=<!-- faults -->\n)|(?=<!-- end of faults -->)/)
  const old = table.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('| family'))
  const same = line => line.split(' | ')[1] === fault && line.split(' | ')[2] === client
  const all = old.some(same) ? old.map(line => (same(line) ? row : line)) : [...old, row]
  const head = ['| family | fault | client | times | held | how it ended | took | measured |',
    '|---|---|---|---|---|---|---|---|']
  const machine = `Measured on ${cpus().length} cores (${
    cpus()[0]?.model ?? 'unknown'
  }), Node ${process.versions.node}, beside other work.`
  writeFileSync(page, `${before}${machine}\n\n${[...head, ...all].join('\n')}\n${after}`)
}
