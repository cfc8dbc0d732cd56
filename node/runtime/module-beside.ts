/** @file Modules that threads start from: they lie beside the one that starts them, unless a bundler has moved it. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The module of that name beside another: in TypeScript where tests run the sources, else as it was built. Undefined
 * where a bundler has made one file of everything: then there are no threads.
 * @param base the other module's `import.meta.url`, which some bundlers leave undefined
 */
export function moduleBeside(name: string, base: string | undefined): URL | undefined {
  if (base === undefined) return undefined
  const found = new URL(base.endsWith('.ts') ? `./${name}.mts` : `./${name}.mjs`, base)
  return found.protocol === 'file:' && existsSync(fileURLToPath(found)) ? found : undefined
}

/** `require` as of a module; of the working directory where a bundler has left no address. */
export function requireOf(base: string | undefined): NodeJS.Require {
  return createRequire(base ?? join(process.cwd(), 'bundle.js'))
}
