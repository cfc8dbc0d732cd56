/** @file Runs one measured process and listens to its lines (bench/measure.py says which). */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Lines of standard error that are kept for a message. */
const KEPT_LINES = 12

/**
 * Runs a command until it ends.
 * @returns seconds from its start to its first result (`start`), its lines by event (`ready`, `first`, `done`,
 * `unavailable`), and `failure`: why it has no results
 */
export async function runMeasured(command, args, { timeout, env = {} }) {
  const begin = performance.now()
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const record = {}
  const errors = []
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, 1000 * timeout)
  createInterface({ input: child.stdout }).on('line', line => {
    const { event, ...values } = JSON.parse(line)
    if (event === 'first') record.start = (performance.now() - begin) / 1000
    record[event] = values
  })
  createInterface({ input: child.stderr }).on('line', line => {
    errors.push(line)
    if (errors.length > KEPT_LINES) errors.shift()
  })
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (...how) => resolve(how))
  })
  clearTimeout(timer)
  if (late) record.failure = `stopped after ${timeout} s`
  else if (signal !== null) record.failure = `ended by ${signal}`
  else if (code !== 0) record.failure = errors.join('\n')
  return record
}
