/** @file Plain tables for a terminal. */

/**
 * Lines of a table: the first row is the header; numbers (right) and text (left) are told apart by the columns'
 * content.
 */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const right = rows[0].map((_, column) =>
    rows.slice(1).every(row => /^[-+]?[\d.,]*( %| s| ms)?$/.test(row[column] ?? ''))
  )
  const line = (row: readonly string[]): string =>
    (indent +
      widths.map((width, i) => (right[i] ? (row[i] ?? '').padStart(width) : (row[i] ?? '').padEnd(width))).join('  '))
      .trimEnd()
  return [line(rows[0]), indent + widths.map(width => '-'.repeat(width)).join('  '), ...rows.slice(1).map(line)].join(
    '\n',
  )
}

/** The table, cut where a terminal's width ends; the first column stands before each part. */
export function fittingTable(rows: readonly (readonly string[])[], columns: number, indent = '  '): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)) + 2)
  const parts: number[][] = [[]]
  let used = indent.length + widths[0]
  for (let column = 1; column < widths.length; column++) {
    if (used + widths[column] - 2 > columns && parts[parts.length - 1].length > 0) {
      parts.push([])
      used = indent.length + widths[0]
    }
    parts[parts.length - 1].push(column)
    used += widths[column]
  }
  return parts.map(part => table(rows.map(row => [row[0], ...part.map(column => row[column] ?? '')]), indent)).join(
    '\n\n',
  )
}

/** A duration in the unit that suits it. */
export function formatSeconds(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`
}

/** Lines of names and what they stand for, the names in one column, what is longer than the terminal below itself. */
export function pairs(entries: readonly (readonly [name: string, value: string])[], columns: number,
  indent = ''): string {
  const width = Math.max(...entries.map(([name]) => name.length))
  const room = Math.max(30, columns - indent.length - width - 2)
  return entries.map(([name, value]) =>
    value.split('\n').flatMap(line => wrap(line, room)).map((line, i) =>
      `${indent}${(i === 0 ? name : '').padEnd(width)}  ${line}\n`
    ).join('')
  ).join('')
}

/** Text broken at spaces into lines of at most `width` characters. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
