/** @file The order of the sources: who may import whom, without circles; length of lines; a comment on every export. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Each may import from those before it. Clients in other languages reach the protocol only, as a process. */
const LAYERS = ['core', 'adapters', 'report', 'node', 'protocol', 'cli', 'browser']

/** The rooms of the core; each may import from those before it. */
const ROOMS = ['errors', 'tensor', 'kernels', 'budget', 'options', 'graph', 'likelihood', 'ops', 'passes', 'metrics',
  'conformal', 'engine', 'network', 'programs', 'curvature', 'linear-model', 'posterior', 'prediction',
  'prediction-graph', 'parallel', 'sums', 'tuning', 'storage', 'answer', 'fit', 'laplace']

/** Folders and files whose lines are counted. */
const MEASURED = ['core', 'adapters', 'report', 'protocol', 'cli', 'browser', 'node', 'bench', 'scripts', 'test',
  'index.ts', 'eslint.config.js']
const LONGEST_LINE = 120

/** Sources under a file or folder, as paths from the root; what is generated or a fixture is left out. */
function sourcesIn(where: string): string[] {
  if (/\.(m?ts|m?js)$/.test(where)) return [where]
  return readdirSync(root + where, { withFileTypes: true }).flatMap(entry => {
    const name = `${where}/${entry.name}`
    if (entry.isDirectory()) {
      return ['generated', 'fixtures', 'node_modules'].includes(entry.name)
        ? []
        : sourcesIn(name)
    }
    return /\.(m?ts|m?js)$/.test(name) ? [name] : []
  })
}

const read = (file: string): string => readFileSync(root + file, 'utf8')

/** The source that a relative import means: `.js` stands for `.ts`, and AssemblyScript leaves the ending out. */
function sourceOf(from: string, specifier: string): string {
  const target = path.posix.join(path.posix.dirname(from), specifier)
  const candidates = [target.replace(/js$/, 'ts'), `${target}.ts`, target]
  return candidates.find(file => existsSync(root + file)) ?? target
}

/** What every file imports from other files, types and `import()` included. */
function importsOf(files: readonly string[]): Map<string, string[]> {
  return new Map(files.map(file => {
    const { importedFiles } = ts.preProcessFile(read(file), true, true)
    const own = importedFiles.map(({ fileName }) => fileName).filter(name => name.startsWith('.'))
    return [file, own.map(name => sourceOf(file, name))] as const
  }))
}

/** Groups of files that import each other in a circle (Tarjan's strongly connected components), sorted. */
function circlesIn(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const number = new Map<string, number>()
  const stack: string[] = []
  const circles: string[][] = []
  const visit = (file: string): number => {
    const own = number.size
    number.set(file, own)
    let low = own
    stack.push(file)
    for (const next of imports.get(file) ?? []) {
      if (!number.has(next)) low = Math.min(low, visit(next))
      else if (stack.includes(next)) low = Math.min(low, number.get(next)!)
    }
    if (low === own) {
      const group = stack.splice(stack.indexOf(file))
      if (group.length > 1 || imports.get(file)?.includes(file) === true) circles.push(group.sort())
    }
    return low
  }
  for (const file of imports.keys()) if (!number.has(file)) visit(file)
  return circles.sort()
}

/** Imports that go against an order of folders, as `file -> imported`. */
function againstOrder(imports: ReadonlyMap<string, readonly string[]>, order: readonly string[],
  folderOf: (file: string) => string | undefined): string[] {
  return [...imports].flatMap(([file, targets]) => {
    const own = folderOf(file)
    return own === undefined ? [] : targets.filter(target => {
      const other = folderOf(target)
      return other !== own && (other === undefined || order.indexOf(other) > order.indexOf(own))
    }).map(target => `${file} -> ${target}`)
  })
}

/** Exported declarations without a doc comment directly above them, as `file:line`. */
function undocumented(file: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true)
  return source.statements.filter(statement => {
    const exported = ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true
    if (!exported) return false
    const comments = ts.getLeadingCommentRanges(source.text, statement.getFullStart()) ?? []
    const doc = comments.map(({ pos, end }) => ({ end, text: source.text.slice(pos, end) })).filter(({ text }) =>
      text.startsWith('/**') && !text.includes('@file')
    ).at(-1)
    return doc === undefined || /\n\s*\n/.test(source.text.slice(doc.end, statement.getStart(source, false)))
  }).map(statement => `${file}:${source.getLineAndCharacterOfPosition(statement.getStart(source, false)).line + 1}`)
}

const files = LAYERS.flatMap(sourcesIn)
const imports = importsOf(files)
const coreFiles = files.filter(file => file.startsWith('core/'))

t.test('the checks see what they look for', async t => {
  t.ok(files.length > 300 && [...imports.values()].flat().length > 1000, 'files and imports')
  t.same([...imports.values()].flat().filter(file => !existsSync(root + file)), [], 'every import is found')
  const knot = new Map([['a', ['b']], ['b', ['c']], ['c', ['b']], ['d', ['d']], ['e', ['a', 'd']]])
  t.same(circlesIn(knot), [['b', 'c'], ['d']])
  t.same(againstOrder(new Map([['a/x', ['b/x', 'a/y']], ['b/x', ['a/x']]]), ['a', 'b'], file => file[0]), [
    'a/x -> b/x',
  ])
})

t.test('no files import each other in a circle', async t => {
  t.same(circlesIn(imports), [])
})

t.test('layers import from the layers below them only', async t => {
  t.same(againstOrder(imports, LAYERS, file => LAYERS.find(layer => file.startsWith(`${layer}/`))), [])
})

t.test('rooms of the core import from the rooms before them only', async t => {
  const found = readdirSync(`${root}core`, { withFileTypes: true })
  t.same(found.filter(entry => entry.isDirectory()).map(entry => entry.name).sort(), [...ROOMS].sort())
  t.same(found.filter(entry => entry.isFile()).map(entry => entry.name), ['index.ts'], 'no loose file but the entry')
  const roomed = new Map([...imports].filter(([file]) => file.startsWith('core/') && file !== 'core/index.ts'))
  t.same(againstOrder(roomed, ROOMS, file => ROOMS.find(room => file.startsWith(`core/${room}/`))), [])
})

t.test('the tests of the core are laid out in its rooms', async t => {
  const found = readdirSync(`${root}test/core`, { withFileTypes: true })
  t.same(found.filter(entry => !entry.isDirectory() || !ROOMS.includes(entry.name)).map(entry => entry.name), [])
})

t.test(`lines have at most ${LONGEST_LINE} characters`, async t => {
  const written = MEASURED.flatMap(sourcesIn).filter(file => !read(file).includes('protobufjs-cli; do not edit'))
  const long = written.flatMap(file =>
    read(file).split('\n').flatMap((line, i) => (line.length > LONGEST_LINE ? [`${file}:${i + 1}`] : []))
  )
  t.same(long, [])
})

t.test('every export of the core has a doc comment', async t => {
  t.same(coreFiles.flatMap(undocumented), [])
})

t.test('kernels keep their decorators, which formatters of TypeScript drop', async t => {
  const lost = coreFiles.flatMap(file =>
    read(file).split('\n').flatMap((line, i, lines) =>
      line === '// @ts-ignore: decorator' && !lines[i + 1].startsWith('@') ? [`${file}:${i + 2}`] : []
    )
  )
  t.same(lost, [])
  t.ok(read('core/kernels/assembly/micro-kernel.ts').includes('@inline'))
})
