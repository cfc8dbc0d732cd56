// Runs the tests (all, or the files given), two at a time, each in a process of its own.
//
// All are compiled first, with what they test, into `.tests`: a loader in every process, as `npx tap` has it, takes
// more time than most tests.
import { transform } from 'esbuild'
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['adapters', 'browser', 'cli', 'core', 'node', 'protocol', 'report', 'test']

/** Seconds after which a file is taken to hang: a guard, not a limit, since the machine may be busy with other work. */
const HANGS = 1200

/** AssemblyScript is no TypeScript: `npm run build:kernels` compiles it. */
const isTypeScript = file => /(?<!\.d)\.m?ts$/.test(file) && !file.startsWith(join('core', 'kernels', 'assembly'))

const compiled = file => join(root, '.tests', file.replace(/ts$/, 'js'))

/** Takes the types off. What a test finds by its own address (`import.meta.url`) lies beside its source. */
async function compile(file) {
  const address = JSON.stringify(pathToFileURL(resolve(root, file)).href)
  const define = file.startsWith('test') ? { 'import.meta.url': address } : {}
  const { code } = await transform(await readFile(join(root, file), 'utf8'), { loader: 'ts', format: 'esm',
    target: 'es2022', define })
  // Another run may be reading it.
  if (code === await readFile(compiled(file), 'utf8').catch(() => undefined)) return
  await mkdir(dirname(compiled(file)), { recursive: true })
  await writeFile(compiled(file), code)
}

async function filesIn(folder) {
  return (await readdir(join(root, folder), { recursive: true })).map(file => join(folder, file))
}

const sources = ['index.ts', ...(await Promise.all(FOLDERS.map(filesIn))).flat().filter(isTypeScript).sort()]
for (let i = 0; i < sources.length; i += 64) await Promise.all(sources.slice(i, i + 64).map(compile))

const given = process.argv.slice(2)
const tests = given.length > 0 ? given : sources.filter(file => file.startsWith('test') && file.endsWith('.test.ts'))
const options = ['--test-reporter=spec', '--test-concurrency=2', `--test-timeout=${HANGS * 1000}`]
spawn(process.execPath, ['--test', ...options, ...tests.map(compiled)], { cwd: root, stdio: 'inherit',
  env: { ...process.env, TAP_TIMEOUT: `${HANGS}` } }).on('close', code => process.exitCode = code ?? 1)
