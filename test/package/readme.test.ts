/**
 * @file The examples for Node in the README, docs/node.md and docs/distributed.md are run as they stand; the README's
 * table is compared with the demo.
 */
import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { nested } from '../../cli/output/json.js'
import { ENGINES, KFAC_APPROXIMATIONS, LIKELIHOODS, PRIOR_STRUCTURES, SUBSET_CHOICES, SUM_STRUCTURES,
  TUNE_METHODS } from '../../core/options/words.js'
import { run } from '../support/command-line.js'
import { referenceCase } from '../support/reference-case.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The blocks of a language in a page. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(match => match[1])
}

/** Fills a folder as a user's would be. */
function fillFolder(folder: string): void {
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/polylaplace'), 'dir')
  copyFileSync(join(root, 'test/fixtures/cases/tabular-iris/model.onnx'), join(folder, 'model.onnx'))
  const { x, y, xTest, yTest } = referenceCase('tabular-iris')
  writeFileSync(join(folder, 'data.json'),
    JSON.stringify({ x: nested(x), y: nested(y), xNew: nested(xTest), yNew: nested(yTest) }))
}

/** Runs a program in a folder and gives what it prints. */
async function runIn(folder: string, program: string): Promise<string> {
  writeFileSync(join(folder, 'example.mjs'), program)
  return (await promisify(execFile)(process.execPath, ['example.mjs'], { cwd: folder })).stdout
}

t.test('the first table is that of docs/usefulness.md, which the benchmark writes', async t => {
  const between = (page: string, name: string): string =>
    page.slice(page.indexOf(`<!-- ${name} -->`) + name.length + 9, page.indexOf(`<!-- /${name} -->`))
  const measured = between(readFileSync(join(root, 'docs/usefulness.md'), 'utf8'), 'summary')
  t.equal(between(readme, 'usefulness'), measured)
  for (const networks of ['two classes, calm', 'two classes, overfitted', 'more classes, calm',
    'more classes, overfitted', 'Regression']) {
    t.ok(measured.includes(networks), networks)
  }
  t.equal(readme.indexOf('|'), readme.indexOf('| networks |'), 'no table comes before it')
})

t.test('the Node example runs', async t => {
  const [example, ...others] = blocks(readme, 'js')
  t.same(others, [], 'it is the only one')
  const folder = t.testdir({})
  fillFolder(folder)
  t.match(await runIn(folder, example), /^class 0: [01]\.\d{3}, as unlike the training rows: [01]\.\d{3} of them\n$/)
})

t.test('the examples of docs/node.md run, and print what they say', async t => {
  const folder = t.testdir({})
  fillFolder(folder)
  // What the page takes from the README.
  const before = `import { readFileSync as $read } from 'node:fs'
import { readOnnx as $readOnnx } from 'polylaplace/adapters/onnx'
const network = $readOnnx($read('model.onnx'))
const { x, y, xNew, yNew } = JSON.parse($read('data.json', 'utf8'))
`
  const expected = [
    /^83$/,
    /^1 x 2$/,
    /^\{\s+nll: 0\.\d+,\s+ece: 0\.\d+,\s+accuracy: 0\.9\d+,\s+priorPrecision: 0\.47\d+\s+\}$/,
    /^0\.\d+ 0\.\d+ 0\.9\d+$/,
    /^true true fit tune predict sample save$/,
    /^$/,
    /^all lowrank On the 112 training rows th true$/,
    /^conformal \[ 38, 3 \]$/,
    /tuned by grid[^]*\[ 38, 3 \] \[ 10, 38, 3 \] (true|false)$/,
    /^true BAD_OPTION classification$/,
    /^0\.\d+$/,
    /^112$/,
    /^112$/,
    /^CancelledError$/,
    /^\[ 112, 3 \] \d+\.\d+$/,
  ]
  const examples = blocks(readFileSync(join(root, 'docs/node.md'), 'utf8'), 'js')
  t.equal(examples.length, expected.length)
  for (const [i, example] of examples.entries()) {
    t.match((await runIn(folder, before + example)).trim(), expected[i], example)
  }
})

t.test('the script for Node in docs/distributed.md runs', async t => {
  const [script, ...others] = blocks(readFileSync(join(root, 'docs/distributed.md'), 'utf8'), 'js')
  t.same(others, [])
  const folder = t.testdir({})
  fillFolder(folder)
  symlinkSync(join(root, 'node_modules/apache-arrow'), join(folder, 'node_modules/apache-arrow'), 'dir')
  t.match(await runIn(folder, script), /^1000 \{\n *mean: -?\d\.\d+,\n *sd: \d\.\d+/)
})

t.test('the commands of docs/command-line.md run, one after the other', async t => {
  const folder = t.testdir({})
  fillFolder(folder)
  const { x, y, xNew, yNew } = JSON.parse(readFileSync(join(folder, 'data.json'), 'utf8'))
  const species = ['setosa', 'versicolor', 'virginica']
  const csv = (rows: number[][], answers: number[] | undefined): string =>
    [[...rows[0].map((_, i) => `x${i}`), ...(answers === undefined ? [] : ['species'])],
      ...rows.map((row, i) => (answers === undefined ? row : [...row, species[answers[i]]]))].map(line => line.join())
      .join('\n')
  writeFileSync(join(folder, 'train.csv'), csv(x, y))
  writeFileSync(join(folder, 'test.csv'), csv(xNew, yNew))
  writeFileSync(join(folder, 'new.csv'), csv(xNew, undefined))
  const commands = blocks(readFileSync(join(root, 'docs/command-line.md'), 'utf8'), 'sh').flatMap(block =>
    block.trim().split('\n')
  )
  t.ok(commands.length >= 9)
  for (const command of commands) {
    const [, ...words] = command.split(' ')
    const outcome = await run(
      ...words.map(word => (/\.(onnx|csv|html|posterior)$/.test(word) ? join(folder, word) : word)),
    )
    t.equal(outcome.code, 0, `${command}\n${outcome.remarks}`)
  }
  for (const file of ['model.posterior', 'report.html', 'calibrated.posterior', 'bayesian.onnx']) {
    t.ok(existsSync(join(folder, file)), file)
  }
})

t.test('docs/node.md lists the words of the options', t => {
  const page = readFileSync(join(root, 'docs/node.md'), 'utf8')
  const lists = { likelihood: LIKELIHOODS, subset: SUBSET_CHOICES, structure: ['lowrank', ...SUM_STRUCTURES],
    tune: TUNE_METHODS, priorStructure: PRIOR_STRUCTURES, kfacApprox: KFAC_APPROXIMATIONS, engine: ENGINES }
  for (const [option, words] of Object.entries(lists)) {
    t.match(page, new RegExp(`\`${option}\`.*${words.map(word => `\`${word}\``).join(', ')}`), option)
  }
  t.end()
})

t.test('the tables show what the demo computes', async t => {
  const { contenders, novelty } = JSON.parse((await run('demo', '--json')).out)
  const [, demo] = /<!-- demo:.*?-->(.*?)<!-- \/demo -->/s.exec(readme) ?? []
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
  const [first, second] = demo.trim().split('\n\n').filter(block => block.startsWith('|')).map(block =>
    block.split('\n').filter(line => !/^\|[-:|]+$/.test(line)).map(line =>
      line.split('|').slice(1, -1).map(cell => cell.trim())
    )
  )
  t.same(
    first.slice(1).map(([name, ...cells]) => [name.replace(/\*\*|`| \(.*\)/g, ''), ...cells]),
    contenders.map((
      { name, scores, confidence, strangers: [noise] }: { name: string, scores: Record<string, number>,
        confidence: number, strangers: { confidence: number }[] },
    ) => [name, percent(scores['accuracy']), scores['nll'].toFixed(3), scores['ece'].toFixed(3), percent(confidence),
      percent(noise.confidence)]
    ),
  )
  t.same(second, [
    novelty.map(({ name }: { name: string }) => name),
    novelty.map(({ flagged }: { flagged: number }) => percent(flagged)),
  ])
  const [network] = contenders
  t.match(demo, `confidence in the turned digits is ${percent(network.strangers[1].confidence)}`)
  const page = readFileSync(join(root, 'site/index.md'), 'utf8')
  contenders.slice(0, 2).forEach(({ scores, strangers: [noise] }: typeof contenders[number], i: number) => {
    const cells = [percent(scores.accuracy), scores.nll.toFixed(3), percent(noise.confidence)]
    t.match(page, `| ${['the network alone', 'its posterior'][i]} | ${cells.join(' | ')} |`)
  })
})

t.test('the README names files that exist', async t => {
  for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
    t.doesNotThrow(() => readFileSync(join(root, target)), target)
  }
})

t.test('every path that a page names exists', async t => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/architecture.md', 'docs/decisions.md',
    'docs/node.md']
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    const named = [
      ...text.matchAll(
        /(?<![\w./-])((?:core|adapters|node|protocol|cli|test|scripts|demo|docs|clients|bench)\/[\w./-]*\w)/g,
      ),
    ]
    t.same([...new Set(named.map(([, path]) => path))].filter(path => !existsSync(join(root, path))), [], page)
  }
})
