/**
 * @file Pictures as SVG, drawn by Vega-Lite: an optional dependency of the npm package, a part of the Python and R
 * packages, loaded when the first picture is drawn.
 */
import type { TopLevelSpec } from 'vega-lite'
import { ResourceError } from '../core/errors/errors.js'

/** Draws specifications one by one. */
export type Draw = (spec: TopLevelSpec) => Promise<string>

/** @throws ResourceError MISSING_DEPENDENCY without Vega-Lite */
export async function loadDraw(): Promise<Draw> {
  const [vega, { compile }, { expressionInterpreter }] = await libraries()
  return async spec => {
    const view = new vega.View(vega.parse(compile(spec).spec, undefined, { ast: true }), { expr: expressionInterpreter,
      renderer: 'none', logLevel: vega.Error })
    try {
      return scalable(await view.toSVG())
    } finally {
      view.finalize()
    }
  }
}

/** The third reads expressions without making code of them, which a page's policy may forbid. */
async function libraries(): Promise<
  [typeof import('vega'), typeof import('vega-lite'), typeof import('vega-interpreter')]
> {
  try {
    return [await import('vega'), await import('vega-lite'), await import('vega-interpreter')]
  } catch (cause) {
    throw new ResourceError('MISSING_DEPENDENCY',
      'Reports are drawn by the packages vega, vega-lite and vega-interpreter, which are not installed: '
        + 'npm install vega vega-lite vega-interpreter', {
      package: 'vega-lite',
      command: 'npm install vega vega-lite vega-interpreter',
      reason: cause instanceof Error ? cause.message : String(cause),
    })
  }
}

/** The picture as wide as its place, instead of a width in pixels: a phone is narrower. */
function scalable(svg: string): string {
  return svg.replace(/ width="[\d.]+" height="[\d.]+"/, ' role="img"')
}
