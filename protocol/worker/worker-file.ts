/** @file The module that the server's threads start from. */

/** It lies beside this module, also where a bundler has put both into files of its own (`.mjs`). */
export const workerFile = new URL(import.meta.url.endsWith('.mjs') ? './worker.mjs' : './worker.js', import.meta.url)
