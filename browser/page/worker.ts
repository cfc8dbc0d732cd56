/** @file Fits and reports in a worker, so that the page stays responsive. */
import { formatOf, readNetwork } from '../../adapters/network/index.js'
import { onnxClasses, posteriorModel } from '../../adapters/onnx/index.js'
import { decodedText, readCsv } from '../../cli/data/csv.js'
import { checkSorted, type KnownLabels, SORTED_NOTE, targetsOf } from '../../cli/data/targets.js'
import type { Progress } from '../../core/budget/progress.js'
import { LaplaceError } from '../../core/errors/errors.js'
import { drawRows, selectBatch } from '../../core/fit/held-out-rows.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { laplace } from '../../core/laplace/laplace.js'
import type { Batch } from '../../core/tensor/batch.js'
import { exampleCount } from '../../core/tensor/examples.js'
import { randomGenerator } from '../../core/tensor/random.js'
import { float64 } from '../../core/tensor/tensor.js'
import { report } from '../../report/report.js'
import { hdf5Reader } from './hdf5-apart.js'
import type { Answer, Job } from './messages.js'

const HELD_OUT_SHARE = 0.2

const NO_TEXT = 'The file of the rows is no text: give them as CSV, a row a line.'

interface Labelled extends Batch {
  readonly labels?: readonly string[]
}

/** @throws DataError for what is no text: a network dropped where rows belong, or a table of another format */
function rowsOf(bytes: Uint8Array, { target, likelihood }: Job, known?: KnownLabels): Labelled {
  const table = readCsv(decodedText(bytes, NO_TEXT), target === '' ? 'last' : target)
  const values = float64([table.rows, table.columns.length], table.values)
  return { x: table.header ? [{ values, columns: table.columns }] : values,
    ...targetsOf(table.targets, likelihood, known) }
}

async function work(job: Job, say: (answer: Answer) => void): Promise<void> {
  const onProgress = ({ stage, done, total }: Progress): void =>
    say({ kind: 'progress', stage, share: total === undefined ? undefined : done / total })
  const network = await readNetwork(job.network, { hdf5: hdf5Reader(job.hdf5) })
  const own = classesOf(job)
  const { labels, ...all } = rowsOf(job.training, job, own)
  const held = job.heldOut === undefined ? undefined : rowsOf(job.heldOut, job, labels ?? 'none')
  const count = exampleCount(all.x)
  const random = randomGenerator(0)
  const aside = held === undefined
    ? drawRows(count, Math.ceil(count * HELD_OUT_SHARE), () => random.uniform())
    : undefined
  const training = aside === undefined ? all : selectBatch(all, aside, false)
  const unseen = aside === undefined ? held ?? all : selectBatch(all, aside, true)
  const posterior = await laplace(network, { likelihood: job.likelihood }).fit(training.x, training.y, { onProgress })
  const sorted = own === undefined && labels !== undefined
  if (sorted) checkSorted(labels, posterior.notes)
  say({ kind: 'progress', stage: 'report', share: undefined })
  const page = await report(posterior, unseen.x, unseen.y, { classes: labels }, { onProgress })
  say({ kind: 'done', report: page, posterior: posterior.save(), onnx: await onnxOf(posterior),
    notes: [...(sorted ? [SORTED_NOTE] : []), ...(aside === undefined
      ? []
      : ['No held-out rows were given: a fifth of the rows was kept from the fit. '
        + 'If the network was trained on them, the report flatters the network.'])] })
}

/** The names of the classes, where the file of the network has them. */
function classesOf({ network, likelihood }: Job): readonly string[] | undefined {
  const hasClasses = likelihood === 'classification' || likelihood === 'binary'
  return hasClasses && formatOf(network, {}) === 'onnx' ? onnxClasses(network) : undefined
}

/** The posterior as ONNX, or why there is none. */
async function onnxOf(posterior: LaplacePosterior): Promise<Uint8Array | string> {
  try {
    return await posteriorModel(posterior)
  } catch (error) {
    return error instanceof LaplaceError ? error.message : String(error)
  }
}

const scope = globalThis as unknown as { postMessage: (answer: Answer) => void,
  onmessage: ((event: { readonly data: Job }) => void) | null }

scope.onmessage = ({ data }) => {
  const say = (answer: Answer): void => scope.postMessage(answer)
  work(data, say).catch((error: unknown) => {
    say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  })
}
