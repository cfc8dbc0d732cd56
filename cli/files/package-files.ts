/** @file Files of the package that this program belongs to. */
import { access } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { readBytes } from './files.js'

/**
 * The bytes of a file of the package, whose folder is two up from this source and three up from what is built of it.
 * @throws FileError
 */
export async function packageFile(path: string): Promise<Uint8Array> {
  const [source, built] = [new URL(`../../${path}`, import.meta.url), new URL(`../../../${path}`, import.meta.url)]
  const here = await access(source).then(() => true, () => false)
  return readBytes(fileURLToPath(here ? source : built))
}

/** The version in package.json. */
export async function packageVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(new TextDecoder().decode(await packageFile('package.json')))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown'
}
