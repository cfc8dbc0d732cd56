/** @file Numbers and tables as docs/performance.md shows them. */

/** Seconds with a fitting unit, three digits. */
export function timeText(seconds) {
  if (!(seconds >= 0)) return ''
  if (seconds >= 100) return `${Math.round(seconds)} s`
  return seconds >= 1 ? `${seconds.toPrecision(3)} s` : `${(1000 * seconds).toPrecision(seconds < 0.0001 ? 1 : 3)} ms`
}

/** A ratio: 0.52x, 3.1x, 147x. */
export function ratioText(ratio) {
  if (!Number.isFinite(ratio)) return ''
  return `${
    ratio >= 1000 ? Math.round(ratio).toLocaleString('en') : ratio >= 100 ? Math.round(ratio) : ratio.toPrecision(2)
  }x`
}

export function memoryText(megabytes) {
  return Number.isFinite(megabytes) ? `${Math.round(megabytes)} MB` : ''
}

export function rateText(flops) {
  return Number.isFinite(flops) ? `${(flops / 1e9).toFixed(1)} GFLOP/s` : ''
}

/** A number with its unit, and perhaps a ratio behind it. */
const NUMBER = /^(~?[\d.,]+(e[+-]\d+)?x?( (s|ms|us|MB|GFLOP\/s))?( \(.*\))?)?$/

/** A Markdown table; columns of numbers to the right. */
export function markdownTable(header, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  const numeric = header.map((_, column) => rows.every(row => NUMBER.test(row[column])))
  return [line(header), line(numeric.map(right => (right ? '---:' : '---'))), ...rows.map(line)].join('\n')
}

/** The page with the table between <!-- name --> and <!-- /name --> replaced. */
export function replaceTable(page, name, table) {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [page.indexOf(open), page.indexOf(close)]
  if (from < 0 || to < from) throw new Error(`The page has no place for the table '${name}'.`)
  return `${page.slice(0, from + open.length)}\n${table}\n${page.slice(to)}`
}
