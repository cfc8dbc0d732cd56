// Lets Node run the sources as they are (node --import=./scripts/typescript-loader.mjs FILE.ts), in every thread.
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)
