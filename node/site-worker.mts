/** @file The module of a worker thread: places of networks, called by messages. */
import { parentPort } from 'node:worker_threads'
import { curvatureArrays } from '../core/curvature/accumulate.js'
import { InternalError, LaplaceError } from '../core/errors/errors.js'
import type { PosteriorParts } from '../core/posterior/posterior-parts.js'
import { type FitSums, type OwningSite, type Site, siteFrom, type SiteSetup } from '../core/parallel/worker.js'
import { chooseEngine } from './choose-engine.js'
import type { FromSite, SiteCall, ToSite } from './site-messages.js'

const setups = new Map<number, SiteSetup>()
const sites = new Map<number, OwningSite>()
let posterior: { readonly number: number, readonly parts: PosteriorParts } | undefined

/** A place is made when it is first called, so that errors reach the caller. */
function siteOf(number: number): Site {
  const known = sites.get(number)
  if (known !== undefined) return known
  const setup = setups.get(number)
  if (setup === undefined) throw new InternalError(`There is no place ${number}.`)
  const site = siteFrom(setup, { engine: chooseEngine })
  sites.set(number, site)
  return site
}

function run(site: Site, call: SiteCall): Promise<unknown> {
  switch (call.method) {
    case 'add': return site.add(call.kind, call.lane, call.batch)
    case 'adopt': return site.adopt(call.lane, call.sums)
    case 'collect': return site.collect(call.lane)
    case 'gaussian':
      if (posterior?.number !== call.parts) throw new InternalError('The posterior was not sent.')
      return site.gaussian(posterior.parts, call.x, call.kind)
  }
}

async function answer(message: Extract<ToSite, { type: 'call' }>): Promise<FromSite> {
  try {
    return { call: message.id, ok: await run(siteOf(message.site), message.call) }
  } catch (error) {
    const own = error instanceof LaplaceError
    return { call: message.id, error: { code: own ? error.code : undefined, message: error instanceof Error ? error.message : String(error), data: own ? error.data : {} } }
  }
}

/** A lane's sums are not used here again: their arrays are handed over, not copied. */
function given(call: SiteCall, { ok }: FromSite): ArrayBuffer[] {
  if (call.method !== 'collect' || ok === undefined) return []
  return [...new Set(curvatureArrays((ok as FitSums).curvature).map(({ buffer }) => buffer as ArrayBuffer))]
}

function close(number: number): void {
  setups.delete(number)
  sites.get(number)?.dispose()
  sites.delete(number)
}

const port = parentPort
port?.on('message', (message: ToSite) => {
  switch (message.type) {
    case 'open': setups.set(message.site, message.setup); return
    case 'close': close(message.site); return
    case 'parts': posterior = message; return
    case 'call': void answer(message).then(result => { port.postMessage(result, given(message.call, result)) })
  }
})
