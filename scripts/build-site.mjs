// Builds the documentation as a static site: `npm run site` writes build/site. Pages come from the Markdown files
// below, the references from doc comments (TypeDoc), docstrings (pdoc) and R's help pages; the page that fits networks
// is inside, and the search needs no server. Every link within is checked, and a broken one fails.
import katex from 'katex'
import { Marked } from 'marked'
import MiniSearch from 'minisearch'
import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, posix, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = resolve(process.argv[2] ?? join(root, 'build/site'))

/** What the site holds, in the order of its menu: [title, Markdown file, page]. */
const SECTIONS = [
  ['Start', [['What it is', 'site/index.md', 'index.html'], ['Honest limits', 'docs/limits.md'], ['Mathematics',
    'docs/mathematics.md']]],
  ['Tutorial', [['Node', 'docs/node.md'], ['Python', 'clients/python/README.md', 'python.html'], ['R',
    'clients/r/README.md', 'r.html'], ['Command line', 'docs/command-line.md']]],
  ['How to', await guides()],
  ['Facts', [['Usefulness', 'docs/usefulness.md'], ['Performance', 'docs/performance.md'], ['Architectures',
    'docs/architectures.md'], ['Operators', 'docs/operators.md'], ['Formats', 'docs/formats.md'], ['What goes together',
    'docs/combinations.md'], ['Posteriors as ONNX', 'docs/onnx.md'], ['Error codes', 'docs/errors.md'], ['Security',
    'docs/security.md'], ['Protocol', 'docs/protocol.md'], ['How it works', 'docs/architecture.md'], ['Decisions',
    'docs/decisions.md'], ['Files of others', 'docs/corpus.md'], ['Changes', 'CHANGELOG.md']]],
]
const REFERENCES = [['TypeScript', 'reference/typescript/index.html'], ['Python', 'reference/python/polylaplace.html'],
  ['R', 'reference/r/index.html'], ['Try it', 'try/index.html'], ['A report', 'report.html']]

function heading(text) {
  return /^# (.+)$/m.exec(text)?.[1] ?? 'Untitled'
}

/** The guides: every page of docs/guides, and the pages of docs that are guides to coming from elsewhere. */
async function guides() {
  const files = (await readdir(join(root, 'docs/guides'))).filter(name => name.endsWith('.md')).sort()
  const others = (await readdir(join(root, 'docs'))).filter(name =>
    /^(laplace-torch|laplace-redux|laplax|distributed)/i.test(name)
  )
  const entries = [...files.map(name => `docs/guides/${name}`), ...others.map(name => `docs/${name}`)]
  return Promise.all(entries.map(async file => [heading(await readFile(join(root, file), 'utf8')), file]))
}

const pageOf = ([, file, page]) => page ?? basename(file).replace(/\.md$/, '.html').toLowerCase()
const pages = SECTIONS.flatMap(([, entries]) => entries)
const pageByFile = new Map(pages.map(entry => [entry[1], pageOf(entry)]))

const escaped = text =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const slug = text =>
  text.toLowerCase().replace(/<[^>]+>|&\w+;/g, '').replace(/[^\p{L}\p{N}\s-]/gu, '').trim().replace(/\s+/g, '-')

/**
 * Formulas: `$...$` and fenced `math`, as MathML, which browsers show without a font of ours; they set no space between
 * log and x.
 */
const formula = (text, displayMode) =>
  katex.renderToString(text, { displayMode, output: 'mathml', throwOnError: true })
    .replaceAll(/<mo>\u2061<\/mo>(?!<mo|<mrow><mo)/g, '$&<mspace width="0.17em"/>')
const MATH = {
  extensions: [{
    name: 'formula',
    level: 'inline',
    start: text => text.indexOf('$'),
    tokenizer: text => {
      const found = /^\$([^$\n]+)\$(?!\d)/.exec(text)
      return found === null ? undefined : { type: 'formula', raw: found[0], text: found[1] }
    },
    renderer: ({ text }) => formula(text, false),
  }],
}

/** A Markdown file as HTML, its links turned to pages of the site. */
function rendered(file, text, mathematical) {
  const from = dirname(file)
  const link = href => {
    if (/^(https?:|mailto:|#)/.test(href)) return href
    if (REFERENCES.some(([, page]) => page === href)) return href
    const [path, anchor] = href.split('#')
    const target = posix.normalize(posix.join(from, path))
    const page = pageByFile.get(target)
    if (page !== undefined) return anchor === undefined ? page : `${page}#${anchor}`
    return IMAGES.has(target) ? basename(target) : undefined
  }
  const marked = new Marked({ gfm: true }, ...(mathematical ? [MATH] : []))
  marked.use({ renderer: {
    heading({ tokens, depth }) {
      const html = this.parser.parseInline(tokens)
      return `<h${depth} id="${slug(html)}">${html}</h${depth}>\n`
    },
    link({ href, tokens }) {
      const target = link(href)
      const html = this.parser.parseInline(tokens)
      // Files of the repository that are no page of the site are named, not linked.
      return target === undefined ? html : `<a href="${escaped(target)}">${html}</a>`
    },
    image: ({ href, text: words }) => `<img src="${escaped(link(href) ?? href)}" alt="${escaped(words)}">`,
    code: ({ text: code, lang }) =>
      lang === 'math' ? formula(code, true) : `<pre><code>${escaped(code)}</code></pre>\n`,
    table(token) {
      const cells = (row, tag) => row.map(cell => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')
      const body = token.rows.map(row => `<tr>${cells(row, 'td')}</tr>`).join('\n')
      return `<div class="table"><table><thead><tr>${
        cells(token.header, 'th')
      }</tr></thead><tbody>${body}</tbody></table></div>\n`
    },
  } })
  return marked.parse(text)
}

const IMAGES = new Set(['docs/demo.svg'])

function menu(current) {
  const items = entries =>
    entries.map(([title, page]) =>
      `<li><a href="${page}"${page === current ? ' aria-current="page"' : ''}>${escaped(title)}</a></li>`
    ).join('')
  return SECTIONS.map(([title, entries]) =>
    `<h2>${title}</h2><ul>${items(entries.map(entry => [entry[0], pageOf(entry)]))}</ul>`
  )
    .join('') + `<h2>Reference</h2><ul>${items(REFERENCES)}</ul>`
}

const template = await readFile(join(root, 'site/page.html'), 'utf8')
const documents = []

async function writePage(entry) {
  const [title, file] = entry
  const text = (await readFile(join(root, file), 'utf8')).replace(/<!--.*?-->\n?/gs, '')
  const html = rendered(file, text, file === 'docs/mathematics.md')
  const page = pageOf(entry)
  for (const part of html.split(/(?=<h[123] id=")/)) {
    const [, anchor, words] = /^<h[123] id="([^"]*)">(.*?)<\/h/s.exec(part) ?? [undefined, '', title]
    documents.push({ id: documents.length, page: `${page}#${anchor}`, title: `${title}: ${plain(words)}`,
      text: plain(part) })
  }
  const parts = { TITLE: escaped(title), MENU: menu(page), BODY: html }
  await writeFile(join(out, page), template.replace(/\{(TITLE|MENU|BODY)\}/g, (_, name) => parts[name]))
}

const plain = html =>
  html.replace(/<[^>]+>/g, ' ').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&').replace(/\s+/g, ' ').trim()

/** The index as a script: a page from a disk may not fetch. */
async function writeSearch() {
  const index = new MiniSearch({ fields: ['title', 'text'], storeFields: ['title', 'page'] })
  index.addAll(documents)
  if (index.search('novelty').length === 0) throw new Error('The search does not find a word that is on the pages.')
  const library = await readFile(join(root, 'node_modules/minisearch/dist/umd/index.js'), 'utf8')
  const script = await readFile(join(root, 'site/search.js'), 'utf8')
  await writeFile(join(out, 'search.js'),
    `${library}\nconst INDEX = ${JSON.stringify(JSON.stringify(index))}\n${script}`)
}

function run(command, ...parameters) {
  execFileSync(command, parameters, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
}

async function writeReferences() {
  const reference = join(out, 'reference')
  run('npx', 'typedoc', '--entryPoints', 'index.ts', '--entryPoints', 'core/index.ts', '--entryPoints',
    'adapters/network/index.ts', '--out', join(reference, 'typescript'), '--name', 'polylaplace', '--readme', 'none',
    '--excludePrivate', '--excludeInternal', '--disableSources', '--logLevel', 'Error', '--skipErrorChecking')
  process.env['PYTHONPATH'] = join(root, 'clients/python/src')
  run(join(root, '.venv-site/bin/python'), 'site/python-reference.py', join(reference, 'python'))
  await mkdir(join(reference, 'r'), { recursive: true })
  run('Rscript', 'site/r-reference.R', join(root, 'clients/r/man'), join(reference, 'r'))
}

/** A report of the demo, as anyone gets it. */
async function writeReport() {
  const { readDigits, noise } = await import('../dist/cli/demo/digits.js')
  const { readOnnx } = await import('../dist/adapters/onnx/index.js')
  const { laplace } = await import('../dist/core/index.js')
  const { report } = await import('../dist/report/report.js')
  const { training, unseen } = await readDigits()
  const network = readOnnx(await readFile(join(root, 'demo/digits.onnx')))
  const posterior = await laplace(network, { likelihood: 'classification' }).fit(training.x, training.y)
  const outliers = noise(unseen.x.shape[0], 1)
  await writeFile(join(out, 'report.html'),
    await report(posterior, unseen.x, unseen.y, { outliers, title: 'Handwritten digits, and noise' }))
}

/** Links and anchors within the site's own pages that lead nowhere. */
async function brokenLinks() {
  const texts = new Map()
  for (const page of new Set(pages.map(pageOf))) texts.set(page, await readFile(join(out, page), 'utf8'))
  const exists = async path => readFile(join(out, path)).then(() => true, () => false)
  const broken = []
  for (const [page, text] of texts) {
    for (const [, href] of text.matchAll(/(?:href|src)="([^"]+)"/g)) {
      if (/^(https?:|mailto:|data:)/.test(href)) continue
      const [path, anchor] = href.split('#')
      const target = path === '' ? page : path
      const there = texts.has(target) || await exists(target)
      const found = anchor === undefined || !texts.has(target) ||
        texts.get(target).includes(`id="${decodeURIComponent(anchor)}"`)
      if (!there || !found) broken.push(`${page}: ${href}`)
    }
  }
  return broken
}

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
for (const entry of pages) await writePage(entry)
for (const image of IMAGES) await cp(join(root, image), join(out, basename(image)))
await cp(join(root, 'site/style.css'), join(out, 'style.css'))
await writeSearch()
await writeReport()
run(process.execPath, 'scripts/build-browser.mjs', '--page', join(out, 'try'))
await writeReferences()
const broken = await brokenLinks()
if (broken.length > 0) throw new Error(`Links that lead nowhere:\n${broken.join('\n')}`)
console.log(`Wrote ${out}: ${pages.length} pages and the references; open index.html.`)
