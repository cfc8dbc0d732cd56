/** @file Sums the curvature over the training data, batch by batch. */
import { batchSizeFor, forEachBatch, sliceExamples } from '../network/batches.js'
import { type Crew, multiplicationsPerExample } from '../parallel/worker-pool.js'
import { addCurvature, zeroCurvature } from '../curvature/accumulate.js'
import { checkLabels, networkInput } from '../network/input-rows.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { ResolvedOptions } from '../options/laplace-options.js'
import { likelihoodModel } from '../likelihood/likelihood.js'
import { checkMemory, posteriorBytes } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import type { FitKind, FitSums, LabelledBatch, Site } from '../parallel/worker.js'
import type { LinearData } from '../tuning/linear-model.js'
import type { Tensor } from '../tensor/tensor.js'

/** A fit under way. Data that were added stay added; after an error it must be thrown away. */
export interface Accumulation {
  /** Adds examples; returns how many there are. @throws ShapeError, DataError, CancelledError */
  add(x: Tensor, y: Tensor, work: WorkOptions): Promise<number>
  /** The sums, once. */
  sums(): Promise<FitSums>
  /** Features and labels of everything that was added, when they were kept. */
  linearData(): Promise<LinearData | undefined>
}

/** What a fit needs to know of the options. */
export type FitOptions = Pick<ResolvedOptions, 'likelihood' | 'structure' | 'kfacApprox' | 'batchSize' | 'memoryLimit'>

/** What one example needs at its widest, in numbers: its seeds' gradients and its activations. */
export function numbersPerExample({ linears, network, subset }: Evaluator, seeds: number): number {
  const widest = linears.reduce((most, { in: inputs, out }) => Math.max(most, inputs, subset === 'all' ? seeds * out : out), network.outputs)
  return 4 * widest
}

/** Lanes that a fit's batches are dealt to, and the memory that all of them may take together. */
const LANES = 8
const LANES_BYTES = 64 << 20

/** Batches that may wait at one place. */
const WAITING = 2

/**
 * Starts at zero.
 * @param keepFeatures whether features and labels are kept, for tuning by the linear model
 * @throws ResourceError OUT_OF_MEMORY before anything is allocated
 */
export function startAccumulation(evaluator: Evaluator, crew: Crew, options: FitOptions, keepFeatures: boolean, note: (sentence: string) => void): Accumulation {
  const { slots, linears, network } = evaluator
  const likelihood = likelihoodModel(options.likelihood)
  checkMemory(options.structure, slots, linears, options.memoryLimit)
  const { outputs } = network
  const seeds = likelihood.seedCount(outputs)
  const size = options.batchSize ?? batchSizeFor(numbersPerExample(evaluator, seeds))
  const lanes = Math.max(1, Math.min(LANES, Math.floor(LANES_BYTES / posteriorBytes(options.structure, slots, linears))))
  const dealer = dealBatches(crew, { structure: options.structure, kfacApprox: options.kfacApprox, keepFeatures }, lanes)
  let examples = 0
  const kept: (DealtBatch & { readonly labels: Float64Array })[] = []
  return {
    async add(x, y, work) {
      const rows = networkInput(x, network.input, evaluator.precision, note)
      const n = x.shape[0]
      const { values } = checkLabels(y, likelihood.name, n, outputs)
      const width = likelihood.targetWidth(outputs)
      await dealer.expect(n * multiplicationsPerExample(evaluator, seeds))
      try {
        await forEachBatch(n, size, 'fit', work, async (from, to) => {
          const labels = values.subarray(from * width, to * width)
          const dealt = await dealer.deal({ x: sliceExamples(rows, network.input, from, to), labels, examples: to - from })
          if (keepFeatures) kept.push({ ...dealt, labels })
        })
      } catch (error) {
        void dealer.abandon()
        throw error
      }
      examples += n
      return examples
    },
    sums: async () => await dealer.collect() ?? { examples: 0, loss: 0, curvature: zeroCurvature(options.structure, slots, linears) },
    linearData: async () => (keepFeatures ? joined(await Promise.all(kept.map(async ({ features, labels }) => ({ features: await features ?? new Float64Array(0), labels }))), examples) : undefined),
  }
}

/** A batch that a place has taken, and its features once they are there. */
interface DealtBatch { readonly features: Promise<RealArray | undefined> }

interface Dealer {
  /** Announces work, so that other threads are called in time. */
  expect(multiplications: number): Promise<void>
  /** Gives a batch to the next lane; resolves when there is room for another. */
  deal(batch: LabelledBatch): Promise<DealtBatch>
  /** Merges the lanes in their order. */
  collect(): Promise<FitSums | undefined>
  /** Drops what the lanes hold, after a failure. */
  abandon(): Promise<void>
}

/** Lanes of different fits have different numbers, as places may serve several. */
let lanesGiven = 0

/** Deals batches to lanes in turn; lane i belongs to place i modulo their number. */
function dealBatches(crew: Crew, kind: FitKind, lanes: number): Dealer {
  let sites: readonly Site[] = [crew.local]
  let next = 0
  const first = lanesGiven
  lanesGiven += lanes
  const waiting = new Map<Site, Promise<RealArray | undefined>[]>()
  const siteOf = (lane: number): Site => sites[lane % sites.length]
  const numbers = Array.from({ length: lanes }, (_, lane) => first + lane)
  const adoptAll = async (from: Site): Promise<void> => {
    for (const lane of numbers) {
      const sums = await from.collect(lane)
      if (sums !== undefined) await siteOf(lane).adopt(lane, sums)
    }
  }
  return {
    async expect(multiplications) {
      const wanted = await crew.sites(multiplications)
      if (wanted[0] === sites[0]) return
      const [before] = sites
      sites = wanted
      await adoptAll(before)
    },
    async deal(batch) {
      const lane = first + next++ % lanes
      const site = siteOf(lane)
      const queue = waiting.get(site) ?? []
      waiting.set(site, queue)
      if (queue.length >= WAITING) await queue.shift()
      const features = site.add(kind, lane, batch)
      if (site === crew.local) await features
      else {
        // A failure elsewhere is met when the batch's turn comes.
        features.catch(() => undefined)
        queue.push(features)
      }
      return { features }
    },
    async collect() {
      for (const queue of waiting.values()) await Promise.all(queue)
      const collected = await Promise.all(numbers.map(lane => siteOf(lane).collect(lane)))
      return collected.reduce((total, sums) => {
        if (total === undefined || sums === undefined) return total ?? sums
        return { examples: total.examples + sums.examples, loss: total.loss + sums.loss, curvature: addCurvature(total.curvature, sums.curvature) }
      })
    },
    async abandon() {
      for (const queue of waiting.values()) await Promise.allSettled(queue)
      for (const lane of numbers) await siteOf(lane).collect(lane)
    },
  }
}

function joined(parts: readonly { readonly features: RealArray, readonly labels: Float64Array }[], examples: number): LinearData {
  if (parts.length === 1) return { ...parts[0], examples }
  const length = parts.reduce((sum, part) => sum + part.features.length, 0)
  const single = parts.every(part => part.features instanceof Float32Array)
  const features = single ? new Float32Array(length) : new Float64Array(length)
  const labels = new Float64Array(parts.reduce((sum, part) => sum + part.labels.length, 0))
  let [at, label] = [0, 0]
  for (const part of parts) {
    features.set(part.features, at)
    labels.set(part.labels, label)
    at += part.features.length
    label += part.labels.length
  }
  return { features, labels, examples }
}
