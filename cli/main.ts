#!/usr/bin/env node
/** @file The program `polylaplace`. */
import { runCommandLine } from './commands/command-line.js'
import { processTerminal } from './output/terminal.js'

const code = await runCommandLine(process.argv.slice(2), processTerminal())
// `serve` sets its own.
process.exitCode ??= code
