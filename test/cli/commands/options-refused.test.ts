/** @file 58: every option of every command refuses what it cannot take, in words; the tables say which there are. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Command } from '../../../cli/commands/command.js'
import { conformalize } from '../../../cli/commands/conformalize.js'
import { convert } from '../../../cli/commands/convert.js'
import { demo } from '../../../cli/commands/demo.js'
import { evaluate } from '../../../cli/commands/evaluate.js'
import { exportCommand } from '../../../cli/commands/export.js'
import { fit } from '../../../cli/commands/fit.js'
import { influence } from '../../../cli/commands/influence.js'
import { inspect } from '../../../cli/commands/inspect.js'
import { predict } from '../../../cli/commands/predict.js'
import { report } from '../../../cli/commands/report.js'
import { selftest } from '../../../cli/commands/selftest.js'
import { update } from '../../../cli/commands/update.js'
import { run } from '../../support/command-line.js'

const model = fileURLToPath(new URL('../../fixtures/cases/tabular-iris/model.onnx', import.meta.url))
const folder = t.testdir({})
const at = (name: string): string => join(folder, name)
const rows = Array.from({ length: 40 }, (_, i) => `${5 + i % 3},3,${1 + i % 4},${0.2 * (i % 5)},${i % 3}`)
writeFileSync(at('d.csv'), `a,b,c,d,y\n${rows.join('\n')}\n`)
mkdirSync(at('folder'))
writeFileSync(at('empty'), '')

const data = ['--data', at('d.csv'), '--target', 'y']
/** By command: what it is given beside the option that is tried. */
const GIVEN: ReadonlyMap<Command, readonly string[]> = new Map<Command, readonly string[]>([
  [fit, [model, ...data, '--likelihood', 'classification', '--out', at('o.posterior')]],
  [inspect, [model]],
  [predict, [at('p.posterior'), '--data', at('d.csv')]],
  [evaluate, [at('p.posterior'), ...data]],
  [report, [at('p.posterior'), ...data, '--out', at('r.html')]],
  [conformalize, [at('p.posterior'), ...data, '--out', at('c.posterior')]],
  [update, [at('p.posterior'), ...data, '--out', at('u.posterior')]],
  [influence, [at('p.posterior'), ...data]],
  [exportCommand, [at('p.posterior'), '--out', at('e.onnx')]],
  [convert, [at('p.posterior'), '--out', at('v.posterior')]],
  [demo, []],
  [selftest, []],
])

/** Texts that are no value of options of these kinds (as the help names them). */
const WRONG: Record<string, readonly string[]> = {
  NUMBER: ['nonsense', '', 'NaN', '1e999', '3,4', '-', '0x'],
  NUMBERS: ['nonsense', '', 'NaN', '1e999', '1,,2', '1,x'],
  BYTES: ['nonsense', '', '-1', '2.5', '1e999', '0'],
  RANGE: ['nonsense', '', '5'],
  FILE: [at('folder'), at('nowhere/file'), at('empty')],
}
/** Numbers that count. */
const COUNTS = ['n-subset', 'draws', 'seed', 'threads', 'batch-size', 'memory-limit', 'samples']
/** Files that are written, at the end of the work: tried where it is short. */
const WRITTEN = ['out', 'picture']
const LONG = ['demo', 'report']

/** What went wrong with a refusal, if anything. */
async function problemOf(name: string, given: readonly string[], option: string,
  value: string | undefined): Promise<string[]> {
  const kept = given.filter((word, i) => word !== `--${option}` && given[i - 1] !== `--${option}`)
  const { code, remarks } = await run(name, ...kept, value === undefined ? `--${option}` : `--${option}=${value}`)
  const shown = `${name} --${option} ${value ?? ''}: `
  if (code === 0) return [`${shown}accepted`]
  if (/fault of polylaplace|INTERNAL| at .*:\d+|undefined|\[object/.test(remarks) || remarks.length > 1500) {
    return [shown + remarks.slice(0, 300)]
  }
  return []
}

t.before(async () => {
  const { code, remarks } = await run('fit', model, ...data, '--likelihood', 'classification', '--structure', 'full',
    '--subset', 'last_layer', '--prior-precision', '1', '--out', at('p.posterior'))
  t.equal(code, 0, remarks)
})

t.test('58 values that an option cannot take', async t => {
  const failed: string[] = []
  for (const [command, given] of GIVEN) {
    for (const [option, { type, value = '' }] of Object.entries(command.options)) {
      if (type === 'boolean') {
        failed.push(...await problemOf(command.name, given, option, 'yes'))
        continue
      }
      failed.push(...await problemOf(command.name, given, option, undefined))
      const wrong = [...(WRONG[value] ?? []), ...(COUNTS.includes(option) ? ['-1', '2.5'] : [])]
      const places = LONG.includes(command.name) ? [] : wrong.filter(file => file !== at('empty'))
      for (const text of WRITTEN.includes(option) ? places : wrong) {
        failed.push(...await problemOf(command.name, given, option, text))
      }
    }
  }
  t.same(failed, [])
})

t.test('58 flags that a command does not have, and those that stand twice', async t => {
  for (const [command, given] of GIVEN) {
    const unknown = await run(command.name, ...given, '--sed', '3')
    t.equal(unknown.code, 2)
    t.match(unknown.remarks, /has no option --sed|unexpected/)
    for (const [option, { type }] of Object.entries(command.options)) {
      const flag = type === 'boolean' ? [`--${option}`] : [`--${option}`, '1']
      const twice = await run(command.name, ...given, ...flag, ...flag)
      t.equal(twice.code, 2, `${command.name} --${option}`)
      t.match(twice.remarks, /is given twice/)
    }
  }
})
