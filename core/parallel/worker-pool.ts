/** @file Who computes: the calling thread alone while there is little to do, worker threads of the host beside it when there is much. */
import type { Evaluator } from '../programs/evaluator.js'
import type { Host, Team } from './runtime.js'
import { createSite, type Site, type SiteSetup } from './worker.js'
import type { ResolvedOptions } from '../options/laplace-options.js'
import type { Likelihood } from '../options/words.js'

/** Multiplications below which other threads cost more than they save: about a tenth of a second, or less where their number was asked for. */
const WORTH_THREADS = 5e8
const WORTH_ASKED_THREADS = 2e7

export interface Crew {
  /** The calling thread's own place. */
  readonly local: Site
  /** The places for some more work; from then on the same ones. The calling thread's is the only one until the work is worth more. */
  sites(multiplications: number): Promise<readonly Site[]>
}

/** The crew of an evaluator whose engine was asked for as `engine`; the threads' places have engines of the same kind. */
export function createCrew(evaluator: Evaluator, likelihood: Likelihood, host: Host, { engine, threads }: Pick<ResolvedOptions, 'engine' | 'threads'>): Crew {
  const local = createSite(evaluator, likelihood)
  const alone = [local]
  const setup = async (): Promise<SiteSetup> => {
    const { network, subset, precision } = evaluator
    return { network, subset, precision, likelihood, engine: await evaluator.engine.chosen() === 'typescript' ? 'typescript' : engine }
  }
  const worth = threads === undefined ? WORTH_THREADS : WORTH_ASKED_THREADS
  let expected = 0
  let team: Team | undefined
  return {
    local,
    async sites(multiplications) {
      expected += multiplications
      evaluator.engine.expect(multiplications)
      if (team === undefined && expected > worth) team = host.team?.(await setup(), threads)
      return team?.sites ?? alone
    },
  }
}

/** Multiplications of one example: a forward pass, the backward pass of every seed, and the products with the layers' matrices. */
export function multiplicationsPerExample({ linears, subset, network }: Evaluator, seeds: number): number {
  const weights = network.graph.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
  if (subset === 'last_layer') return weights + linears.reduce((sum, { in: inputs, out }) => sum + inputs * inputs + inputs * out, 0)
  return weights * (1 + seeds) + linears.reduce((sum, { in: inputs, out }) => sum + inputs * inputs + seeds * out * out, 0)
}
