/** @file A report as one HTML file that loads nothing: text, tables and pictures. */
import { COLOURS } from './colours.js'

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;',
  "'": '&#39;' }

/** Text as HTML: names and notes come from files that may hold anything. */
const escaped = (text: string): string => text.replace(/[&<>"']/g, character => ENTITIES[character])

const STYLE = `${COLOURS}
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: .5rem 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem } p { max-width: 65ch }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem }
figure { margin: 0; min-width: 0 } figure svg { width: 100%; height: auto; max-width: 30rem; display: block }
figcaption { font-size: .85rem; color: var(--soft) } figcaption strong { color: var(--ink); display: block }
.table { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top }
td:first-child { white-space: nowrap } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
.notes li { background: var(--warn); padding: .4rem .7rem; margin: .3rem 0; list-style: none; max-width: 75ch }
@media (max-width: 30rem) { table { font-size: .74rem } th, td { padding-right: .35rem } }
.notes { padding: 0 } footer { margin-top: 2rem; font-size: .8rem; color: var(--soft) }
`

/** One part of the page: its heading and its HTML. */
export interface Section {
  readonly title: string
  readonly html: string
}

/** The page. The policy forbids it to load anything, or to run anything. */
export function page(title: string, lead: string, sections: readonly Section[], footer: string): string {
  const parts = sections.map(section => `<section><h2>${escaped(section.title)}</h2>\n${section.html}\n</section>`)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><h1>${escaped(title)}</h1>
<p>${escaped(lead)}</p>
${parts.join('\n')}
<footer>${escaped(footer)}</footer></body></html>
`
}

/** Paragraphs. */
export const paragraphs = (texts: readonly string[]): string => texts.map(text => `<p>${escaped(text)}</p>`).join('\n')

/** Sentences that ask for attention. */
export const notes = (texts: readonly string[]): string =>
  `<ul class="notes">${texts.map(text => `<li>${escaped(text)}</li>`).join('')}</ul>`

const NUMBER = /^[-+−]?[\d.,]+(e[-+]?\d+)?( %)?$/

/** A table: the first row is its heading; columns of nothing but numbers stand to the right. */
export function htmlTable([heading, ...body]: readonly (readonly string[])[]): string {
  const numbers = heading.map((_, column) => body.every(row => row[column] === '' || NUMBER.test(row[column])))
  const row = (cells: readonly string[], tag: 'td' | 'th'): string =>
    `<tr>${
      cells.map((text, column) => `<${tag}${numbers[column] ? ' class="number"' : ''}>${escaped(text)}</${tag}>`).join(
        '',
      )
    }</tr>`
  return `<div class="table"><table><thead>${row(heading, 'th')}</thead>`
    + `<tbody>${body.map(cells => row(cells, 'td')).join('\n')}</tbody></table></div>`
}

/** Pictures, each with its title and its words below. */
export function pictures(
  items: readonly { readonly title: string, readonly caption: string, readonly svg: string }[],
): string {
  const figure = ({ title, caption, svg }: typeof items[number]): string =>
    `<figure>${svg}<figcaption><strong>${escaped(title)}</strong>${escaped(caption)}</figcaption></figure>`
  return `<div class="pictures">\n${items.map(figure).join('\n')}\n</div>`
}
