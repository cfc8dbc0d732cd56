/** @file A picture that stands alone: how certain network and posterior are of data, and of rows that are none. */
import type { Figures } from '../core/laplace/figures.js'
import { certaintyStrip } from './charts.js'
import { COLOURS } from './colours.js'
import { loadDraw } from './draw.js'

/**
 * The histograms of certainty as one SVG file, light and dark.
 * @param words what the two kinds of rows are called
 * @throws ResourceError MISSING_DEPENDENCY without Vega-Lite
 */
export async function certaintyPicture(figures: Figures,
  words: { readonly data: string, readonly others: string }): Promise<string> {
  const draw = await loadDraw()
  const svg = await draw(certaintyStrip(figures, words))
  return svg.replace('>', `><style>${COLOURS}</style>`)
}
