// Compiles the WebAssembly kernels, once with plain and once with relaxed SIMD, and embeds the bytes of each as a
// TypeScript module. With KERNEL_NAMES=1 the functions keep their names, for profiles.
import asc from 'assemblyscript/asc'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const folder = path.join(root, 'core/kernels/generated')

const BUILDS = {
  'simd': ['--enable', 'simd'],
  'relaxed-simd': ['--enable', 'simd', '--enable', 'relaxed-simd'],
}

/** Compiles one build and returns its bytes. */
async function compile(features) {
  const files = new Map()
  const { error, stderr } = await asc.main([
    'core/kernels/assembly/index.ts',
    '--outFile',
    'kernels.wasm',
    '--optimizeLevel',
    '3',
    '--shrinkLevel',
    '0',
    '--runtime',
    'stub',
    '--noAssert',
    ...process.env.KERNEL_NAMES === undefined ? [] : ['--debug'],
    '--use',
    'abort=',
    '--baseDir',
    root,
    ...features,
  ], { writeFile: (name, contents) => {
    files.set(path.basename(name), contents)
  } })
  if (error) throw new Error(`The kernels do not compile:\n${stderr.toString()}`, { cause: error })
  return files.get('kernels.wasm')
}

await mkdir(folder, { recursive: true })
for (const [name, features] of Object.entries(BUILDS)) {
  const bytes = await compile(features)
  const text =
    '/** @file Made by scripts/build-kernels.mjs from core/kernels/assembly: the bytes of a WebAssembly module. */\n' +
    `export const bytes = '${Buffer.from(bytes).toString('base64')}'\n`
  await writeFile(path.join(folder, `${name}.ts`), text)
  process.stdout.write(`core/kernels/generated/${name}.ts: ${bytes.length} bytes of WebAssembly\n`)
}
