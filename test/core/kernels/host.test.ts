/** @file Which build a process takes: the fastest one, or the one that a variable names. */
import { spawnSync } from 'node:child_process'
import t from 'tap'

const module = import.meta.resolve('../../../core/kernels/kernel-module.js')

/** The build of a process of its own, or what it says on the way out. */
function buildWith(env: Record<string, string>, ...flags: string[]): string {
  const script = `import(${JSON.stringify(module)}).then(kernels => process.stdout.write(kernels.kernelBuild()))`
  const { stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, ...flags, '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return stdout === '' ? stderr : stdout
}

t.test('relaxed SIMD is taken without being asked for, also by Node 20, which has it behind a flag', async t => {
  t.equal(buildWith({}), 'relaxed-simd')
})

t.test('POLYLAPLACE_KERNELS names a build whose numbers are those of other hosts', async t => {
  t.equal(buildWith({ POLYLAPLACE_KERNELS: 'simd' }), 'simd')
  t.equal(buildWith({ POLYLAPLACE_KERNELS: 'plain' }), 'plain')
  t.equal(buildWith({ POLYLAPLACE_KERNELS: '' }), 'relaxed-simd')
})

t.test('58 a build that does not exist is refused with those that do', async t => {
  t.match(buildWith({ POLYLAPLACE_KERNELS: 'smid' }),
    /OptionError: Option POLYLAPLACE_KERNELS must be one of relaxed-simd, simd, plain; got 'smid'/)
})
