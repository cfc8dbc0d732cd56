/** @file Files of the package that this program belongs to. */
import { access } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { readBytes } from './files.js'

/** The bytes of a file of the package. The package's folder is one up from the sources and two up from what is built. */
export async function packageFile(path: string): Promise<Uint8Array> {
  const [source, built] = [new URL(`../${path}`, import.meta.url), new URL(`../../${path}`, import.meta.url)]
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
