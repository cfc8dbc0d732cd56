/** @file What a command writes to: results on stdout, remarks and progress on stderr. */
import { type Progress, timeLeft, withTimeLeft } from '../../core/budget/progress.js'
import { noteText, wrapText } from '../../node/describe.js'

/** Where a command writes. Tests give their own. */
export interface Terminal {
  /** Results. */
  readonly write: (content: string | Uint8Array) => void
  /** Remarks: notes, errors, progress. */
  readonly remark: (text: string) => void
  /** Whether somebody watches stdout: long tables are then cut. */
  readonly watched: boolean
  /** Whether progress may be drawn on stderr. */
  readonly showsProgress: boolean
  /** Characters in a line. */
  readonly columns: number
}

const DEFAULT_COLUMNS = 80
/** Milliseconds between two drawings of a progress line. */
const REDRAW_MS = 100

/** The process's own terminal. */
export function processTerminal(): Terminal {
  // A reader that has seen enough (`| head`) is no fault.
  process.stdout.on('error', (error: Error & { code?: string }) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  return {
    write: text => {
      process.stdout.write(text)
    },
    remark: text => {
      process.stderr.write(text)
    },
    watched: process.stdout.isTTY === true,
    showsProgress: process.stderr.isTTY === true,
    columns: process.stdout.isTTY === true ? process.stdout.columns : DEFAULT_COLUMNS,
  }
}

/** A note on the terminal, broken at its width. */
export function noteRemark(terminal: Terminal, note: string): void {
  terminal.remark(`${wrapText(noteText(note), terminal.columns, '  ')}\n`)
}

const STAGES: Readonly<Record<string, string>> = { fit: 'Summing up the curvature', tune: 'Tuning the prior',
  predict: 'Predicting' }

/** A line on stderr that says how far the work is; `clear` removes it. */
export function progressLine(
  terminal: Terminal,
): { readonly onProgress: (progress: Progress) => void, readonly clear: () => void } {
  if (!terminal.showsProgress) return { onProgress: () => undefined, clear: () => undefined }
  let width = 0
  let drawn = -Infinity
  const draw = (text: string): void => {
    terminal.remark(`\r${text.padEnd(width)}`)
    width = text.length
  }
  return {
    onProgress: withTimeLeft(progress => {
      const { stage, done, total } = progress
      if (performance.now() - drawn < REDRAW_MS) return
      drawn = performance.now()
      const counts = total === undefined || total === 0 ? `${done}` : `${done} of ${total}`
      draw(
        [`${STAGES[stage] ?? stage}: ${counts}`, timeLeft(progress)].filter(part => part !== '').join(', ').slice(0,
          terminal.columns - 1),
      )
    }),
    clear: () => {
      if (width > 0) {
        draw('')
        terminal.remark('\r')
        width = 0
      }
    },
  }
}
