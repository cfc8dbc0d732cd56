// How Node finds and loads TypeScript: esbuild takes the types off, once for every version of a file.
import { transform, version } from 'esbuild'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CACHE = fileURLToPath(new URL('../node_modules/.cache/polylaplace', import.meta.url))
const TYPESCRIPT = /\.m?ts$/

/** An import names the file that will be built, `x.js`; it lies there as `x.ts`. */
export async function resolve(specifier, context, next) {
  const { parentURL = '' } = context
  if (/^\.{1,2}\/.*\.m?js$/.test(specifier) && TYPESCRIPT.test(pathOf(parentURL))) {
    const { href } = new URL(specifier.replace(/js$/, 'ts'), parentURL)
    if (existsSync(fileURLToPath(href))) return { url: href, format: 'module', shortCircuit: true }
  }
  return next(specifier, context)
}

export async function load(url, context, next) {
  if (!url.startsWith('file:') || !TYPESCRIPT.test(pathOf(url))) return next(url, context)
  return { format: 'module', source: await javaScript(fileURLToPath(url)), shortCircuit: true }
}

const pathOf = url => url.replace(/[?#].*$/, '')

async function javaScript(file) {
  const source = await readFile(file, 'utf8')
  const kept = join(CACHE, `${createHash('sha256').update(`${version}\n${file}\n${source}`).digest('hex')}.mjs`)
  if (existsSync(kept)) return readFile(kept, 'utf8')
  const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'es2022', sourcefile: file,
    sourcemap: 'inline' })
  // Several processes may write the same file: each writes its own, and the last one's stays.
  const own = `${kept}.${process.pid}`
  await mkdir(CACHE, { recursive: true })
  await writeFile(own, code)
  await rename(own, kept)
  return code
}
