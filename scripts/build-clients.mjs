// Bundles the server into the Python and R clients, and writes the error table in their languages.
//
// Each client carries polylaplace.mjs, small, so that the process answers quickly; worker.mjs, the compute threads;
// worker-thread.mjs, threads that share one computation; hdf5-thread.mjs, which reads a file and is ended; and beside
// them modules that a thread loads when it first needs them (readers of files). Python's has the command line too.
// `node scripts/build-clients.mjs --server DIR` writes only these, for tests.
import { build, transform } from 'esbuild'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'
import { brotliCompressSync } from 'node:zlib'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

/** Optional packages stay outside: they are found at run time where they are installed. */
const EXTERNAL = ['onnxruntime-node']

/** The decoder alone: the package's entry for Node brings its encoder and looks for a native part. */
const ALIAS = { 'msgpackr/unpack': join(root, 'node_modules/msgpackr/unpack.js') }

/** CommonJS packages in an ES module need a require of their own. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

/**
 * The package for small linear systems as a part of the bundle, so that every language gets the same numbers to the
 * last bit.
 */
const BUNDLE_LINEAR_SOLVE = {
  name: 'linear-solve',
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]node[\\/]runtime[\\/]linear-solve\.[jt]s$/ },
      () => ({ contents: "export const loadLinearSolve = () => require('ndarray-linear-solve')", resolveDir: root }))
  },
}

/**
 * The HDF5 library's machine code, compressed: 4 MB as h5wasm writes it would make the R package larger than R's check
 * allows.
 */
const COMPRESS_HDF5 = {
  name: 'compress-hdf5',
  setup: ({ onLoad }) => {
    onLoad({ filter: /h5wasm[\\/]dist[\\/]esm[\\/]hdf5_util\.js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      const start = source.indexOf("binaryDecode('")
      const end = source.indexOf("')}", start)
      if (start < 0 || end < 0) throw new Error('h5wasm holds its machine code in another way than expected.')
      const { binaryDecode } = runInNewContext(
        `${
          source.slice(source.indexOf('function binaryDecode'), source.indexOf('var readyPromiseResolve'))
        }; ({ binaryDecode: ${source.slice(start, end)}') })`,
      )
      const code = brotliCompressSync(binaryDecode).toString('base64')
      const loaded = `require('node:zlib').brotliDecompressSync(Buffer.from('${code}','base64'))`
      return { contents: await shortened(source.slice(0, start) + loaded + source.slice(end + 2)), loader: 'js' }
    })
  },
}

/** The kernels' machine code, compressed too: every thread that multiplies has its own copy of it. */
const COMPRESS_KERNELS = {
  name: 'compress-kernels',
  setup: ({ onLoad }) => {
    onLoad({ filter: /core[\\/]kernels[\\/]generated[\\/].*\.ts$/ }, async ({ path }) => {
      const [, bytes] = /bytes = '([^']+)'/.exec(await readFile(path, 'utf8')) ?? []
      if (bytes === undefined) throw new Error(`${path} holds its machine code in another way than expected.`)
      const code = brotliCompressSync(Buffer.from(bytes, 'base64')).toString('base64')
      return { contents: `import { brotliDecompressSync } from 'node:zlib'
        export const bytes = brotliDecompressSync(Buffer.from('${code}', 'base64')).toString('base64')`, loader: 'js' }
    })
  },
}

/**
 * What every compute thread loads in few files: loading one takes a millisecond or two. esbuild makes a file of what
 * the same modules reach; so the modules that are loaded later are made to reach all that is there by then. It says
 * that it leaves the import itself out.
 */
const FEW_FILES = {
  name: 'few-files',
  setup: ({ onLoad }) => {
    onLoad({
      filter: /[\\/](adapters[\\/](\w+[\\/]index|fitted-objects[\\/]affine)|protocol[\\/]worker[\\/]selftest)\.ts$/,
    }, async ({ path }) => ({
      contents: `${await readFile(path, 'utf8')}\nimport ${
        JSON.stringify(join(root, 'protocol/methods/create-methods.ts'))
      }\n`,
      loader: 'ts',
    }))
  },
}

/** Packages with short names inside: a megabyte less, without which the R package is larger than R's check allows. */
const shortened = async source => (await transform(source, { minify: true, charset: 'utf8' })).code

/** Our own modules keep their names, which the stacks of internal errors show. */
const SHORTEN_PACKAGES = {
  name: 'shorten-packages',
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]node_modules[\\/].*\.m?js$/ }, async ({ path }) => ({
      contents: await shortened(await readFile(path, 'utf8')),
      loader: 'js',
    }))
  },
}

/** What the command line reads of its package's files, inside of its bundle, and the JPEG decoder beside it. */
const PACKAGE_FILES = {
  name: 'package-files',
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]cli[\\/]files[\\/]package-files\.ts$/ }, async () => {
      const compressed = async path => brotliCompressSync(await readFile(join(root, path))).toString('base64')
      const names = ['demo/digits.json', 'demo/digits.onnx']
      const files = Object.fromEntries(await Promise.all(names.map(async name => [name, await compressed(name)])))
      return { loader: 'js', contents: `import { brotliDecompressSync } from 'node:zlib'
        const files = ${JSON.stringify(files)}
        export const packageFile = async path =>
          new Uint8Array(brotliDecompressSync(Buffer.from(files[path], 'base64')))
        export const packageVersion = async () => ${JSON.stringify(version)}` }
    })
    onLoad({ filter: /[\\/]cli[\\/]data[\\/]image\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      const found = `createRequire(import.meta.url).resolve('${JPEG_DECODER}')`
      if (!source.includes(found)) throw new Error(`${path} finds the JPEG decoder in another way than expected.`)
      return { loader: 'ts', contents: source.replace(found, `new URL('${basename(JPEG_DECODER)}', import.meta.url)`) }
    })
  },
}

/** WebAssembly that the command line reads when it first needs it. */
const JPEG_DECODER = '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'

/**
 * Bundles modules, given by the names of their files; with `splitting`, what they share or import dynamically becomes
 * further files. The result maps names to texts.
 */
async function bundle(entries, { define = {}, splitting = false, plugins = [] } = {}) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(entries).map(([name, entry]) => ({ in: entry, out: name })),
    bundle: true,
    splitting,
    write: false,
    outdir: 'out',
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    charset: 'utf8',
    external: [...EXTERNAL, './worker.mjs'],
    alias: ALIAS,
    plugins: [BUNDLE_LINEAR_SOLVE, COMPRESS_HDF5, COMPRESS_KERNELS, SHORTEN_PACKAGES, ...plugins],
    define,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'eof',
    logLevel: 'warning',
    logOverride: { 'ignored-bare-import': 'silent' },
    banner: { js: REQUIRE },
  })
  return new Map(outputFiles.map(file => [basename(file.path), file.text]).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Compute threads, and the threads that these share their work with. */
const COMPUTING = { 'worker': 'protocol/worker/worker.ts', 'worker-thread': 'node/runtime/worker-thread.mts',
  'hdf5-thread': 'node/files/hdf5-thread.mts' }
/** Needs the kernels alone; what it shared with the others would be cut into more files for all of them. */
const PRODUCTS = { 'product-thread': 'node/runtime/product-thread.mts' }

/** The server's files. `worker` may be another module with the task of the compute threads. */
async function bundleServer(worker = COMPUTING.worker) {
  const computing = new Map([...await bundle(worker === COMPUTING.worker ? COMPUTING : { worker }, {
    splitting: true,
    plugins: [FEW_FILES],
  }), ...await bundle(PRODUCTS)])
  const hash = createHash('sha256')
  for (const [name, text] of computing) hash.update(name).update('\0').update(text)
  const buildHash = hash.digest('hex').slice(0, 16)
  const main = await bundle({ polylaplace: 'protocol/bundle.ts' }, {
    define: { POLYLAPLACE_VERSION: JSON.stringify(version), POLYLAPLACE_BUILD: JSON.stringify(buildHash) },
  })
  return new Map([...main, ...computing])
}

/** The command line, for Python: R's package would be larger than R's check allows. */
async function bundleCommandLine() {
  const files = await bundle({ cli: 'cli/main.ts' }, { splitting: true, plugins: [PACKAGE_FILES] })
  return files.set(basename(JPEG_DECODER), await readFile(join(root, 'node_modules', JPEG_DECODER)))
}

async function writeServer(folder, files) {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  for (const [name, text] of files) await writeFile(join(folder, name), text)
}

/** The table of core/errors/errors.ts, by bundling it: the clients' classes can then not differ from it. */
async function errorTable() {
  const [text] = (await bundle({ errors: 'core/errors/errors.ts' })).values()
  const { ERROR_CODES } = await import(
    `data:text/javascript;base64,${Buffer.from(text.replace(REQUIRE, '')).toString('base64')}`
  )
  return Object.entries(ERROR_CODES)
}

function pythonTable(entries) {
  return ['"""The error codes. Written from core/errors/errors.ts by `npm run build`; do not edit."""', '',
    '#: name: (number, class, meaning)', 'ERROR_TABLE: dict[str, tuple[int, str, str]] = {',
    ...entries.map(pythonEntry), '}', ''].join('\n')
}

/** One entry as `ruff format` writes it: an item a line where all of them do not fit into 120 characters. */
function pythonEntry([name, { number, family, meaning }]) {
  const items = [`${number}`, `"${family}"`, JSON.stringify(meaning)]
  const line = `    "${name}": (${items.join(', ')}),`
  if (line.length <= 120) return line
  return [`    "${name}": (`, ...items.map(item => `        ${item},`), '    ),'].join('\n')
}

function rTable(entries) {
  const column = pick => entries.map(([name, entry]) => `    ${JSON.stringify(pick(name, entry))}`).join(',\n')
  return ['# The error codes. Written from core/errors/errors.ts by `npm run build`; do not edit.',
    'error_table <- data.frame(', `  name = c(\n${column(name => name)}\n  ),`,
    `  number = c(\n${column((_, e) => e.number)}\n  ),`, `  family = c(\n${column((_, e) => e.family)}\n  ),`,
    `  meaning = c(\n${column((_, e) => e.meaning)}\n  ),`, '  stringsAsFactors = FALSE', ')', ''].join('\n')
}

function markdownTable(entries) {
  const rows = entries.map(([name, { number, family, meaning }]) => {
    const condition = `laplace_error_${family.replace(/Error$/, '').replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase()}`
    return `| ${number} | \`${name}\` | \`${family}\` | \`${condition}\` | ${meaning} |`
  })
  return ['# Error codes', '', 'Written from `core/errors/errors.ts` by `npm run build`. ' +
    'The class is the same in TypeScript and Python; R has condition classes.', '',
    '| number | code | class | R condition | meaning |', '|---|---|---|---|---|', ...rows, ''].join('\n')
}

/** Leaves a file alone that is right already, so that building does not touch the work tree. */
async function writeIfChanged(file, text) {
  await mkdir(dirname(file), { recursive: true })
  const old = await readFile(file, 'utf8').catch(() => undefined)
  if (old !== text) await writeFile(file, text)
}

const [flag, folder, worker] = process.argv.slice(2)
if (flag === '--server') {
  await writeServer(resolve(folder), await bundleServer(worker))
} else {
  const files = await bundleServer()
  await writeServer(join(root, 'clients/python/src/polylaplace/_node'),
    new Map([...files, ...await bundleCommandLine()]))
  await writeServer(join(root, 'clients/r/inst/node'), files)
  const entries = await errorTable()
  await writeIfChanged(join(root, 'clients/python/src/polylaplace/_error_table.py'), pythonTable(entries))
  await writeIfChanged(join(root, 'clients/r/R/error-table.R'), rTable(entries))
  await writeIfChanged(join(root, 'docs/errors.md'), markdownTable(entries))
}
