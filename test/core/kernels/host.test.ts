/** @file Which build a process takes: the fastest one, or the one that a variable names. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const module = fileURLToPath(new URL('../../../core/kernels/kernel-module.ts', import.meta.url))

/** The build of a process of its own. */
function buildWith(env: Record<string, string>, ...flags: string[]): string {
  const script = `import(${JSON.stringify(module)}).then(kernels => process.stdout.write(kernels.kernelBuild()))`
  return execFileSync(process.execPath, [...process.execArgv, ...flags, '-e', script], { encoding: 'utf8',
    env: { ...process.env, ...env } })
}

t.test('relaxed SIMD is taken without being asked for, also by Node 20, which has it behind a flag', async t => {
  t.equal(buildWith({}), 'relaxed-simd')
})

t.test('POLYLAPLACE_KERNELS names a build whose numbers are those of other hosts', async t => {
  t.equal(buildWith({ POLYLAPLACE_KERNELS: 'simd' }), 'simd')
  t.equal(buildWith({ POLYLAPLACE_KERNELS: 'plain' }), 'plain')
  t.equal(buildWith({ POLYLAPLACE_KERNELS: 'unknown' }), 'relaxed-simd')
})
