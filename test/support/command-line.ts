/** @file The command line inside of a test: what it prints, and its exit code. */
import { runCommandLine } from '../../cli/commands/command-line.js'

export interface Outcome {
  code: number
  out: string
  remarks: string
}

/** Runs a command line as in a pipe. */
export async function run(...argv: string[]): Promise<Outcome> {
  let [out, remarks] = ['', '']
  const code = await runCommandLine(argv, { write: text => {
    out += text
  }, remark: text => {
    remarks += text
  }, watched: false, showsProgress: false, columns: 80 })
  return { code, out, remarks }
}
