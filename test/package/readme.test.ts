/** @file The README's example for Node is run as it stands, and its table compared with the demo. */
import t from 'tap'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { nested } from '../../cli/json.js'
import { run } from '../support/command-line.js'
import { referenceCase } from '../support/reference-case.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The blocks of a language. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(match => match[1])
}

t.test('the Node example runs', async t => {
  const [example, ...others] = blocks('js')
  t.same(others, [], 'it is the only one')
  const folder = t.testdir({})
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/polylaplace'), 'dir')
  copyFileSync(join(root, 'test/fixtures/cases/tabular-iris/model.onnx'), join(folder, 'model.onnx'))
  const { x, y, xTest } = referenceCase('tabular-iris')
  writeFileSync(join(folder, 'data.json'), JSON.stringify({ x: nested(x), y: nested(y), xNew: nested(xTest) }))
  writeFileSync(join(folder, 'example.mjs'), example)
  const { stdout } = await promisify(execFile)(process.execPath, ['example.mjs'], { cwd: folder })
  t.match(stdout, /^class 0: 0\.\d{3}, for lack of data: 0\.\d{3} nats\n$/)
})

t.test('the table shows what the demo computes', async t => {
  const { contenders } = JSON.parse((await run('demo', '--json')).out)
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
  const rows = [...readme.matchAll(/^\| (?:\*\*)?(?:the network alone|posterior, tuned by).*$/gm)].map(([line]) => line.split('|').slice(2, -1).map(cell => cell.trim()))
  t.same(rows, contenders.map(({ scores, confidence, strangers: [noise] }: { scores: Record<string, number>, confidence: number, strangers: { confidence: number }[] }) =>
    [percent(scores['accuracy']), scores['nll'].toFixed(3), scores['ece'].toFixed(3), percent(confidence), percent(noise.confidence)]))
})

t.test('the README names files that exist', async t => {
  for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) t.doesNotThrow(() => readFileSync(join(root, target)), target)
})
