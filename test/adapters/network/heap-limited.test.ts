/**
 * @file 43 to 45 of the list of attacks: all readers on all kinds of attacks, with a heap of 256 MB and without code
 * from strings, in a process of its own.
 */
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { HANG } from '../../support/time-limits.js'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

t.test('every attack ends in a typed error, in every reader', { timeout: HANG }, async t => {
  const folder = t.testdir({})
  const outfile = `${folder}/child.mjs`
  await build({ entryPoints: [here('attacked-child.ts')], outfile, bundle: true, platform: 'node', format: 'esm',
    target: 'node20', packages: 'external', logLevel: 'error' })
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--max-old-space-size=256',
    '--disallow-code-generation-from-strings', outfile, new URL('../../fixtures/', import.meta.url).href], {
    encoding: 'utf8',
    timeout: HANG,
    env: { PATH: process.env['PATH'] },
  })
  t.equal(status, 0, stderr.slice(-2000))
  const { evalRefused, faults, outcomes } = JSON.parse(stdout.trim().split('\n').pop() ?? '{}') as {
    evalRefused: boolean
    faults: string[]
    outcomes: Record<string, string[]>
  }
  t.ok(evalRefused, 'code from strings is switched off')
  t.same(faults, [])
  t.ok(Object.keys(outcomes).length > 80)
  // A name that every object has is a name like others.
  for (const [name, results] of Object.entries(outcomes)) {
    if (!name.includes('named __proto__')) {
      t.ok(results.every(result => result !== 'accepted'), `${name}: ${[...new Set(results)].join(', ')}`)
    }
  }
})
