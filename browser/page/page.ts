/** @file The page: files in, a fit in a worker, the report and downloads out. */
import type { Answer, Job } from './messages.js'

interface Data {
  /** The worker's program. */
  readonly worker: string
  /** The program that reads HDF5: gzip, base64. */
  readonly hdf5: string
  readonly example: { readonly network: string, readonly training: string, readonly heldOut: string }
}

const STAGES: Readonly<Record<string, string>> = { fit: 'Fitting', tune: 'Tuning', predict: 'Predicting',
  report: 'Drawing' }

const data = JSON.parse(element('data', HTMLElement).textContent) as Data
const state = element('state', HTMLElement)
const progress = element('progress', HTMLProgressElement)
const stop = element('stop', HTMLButtonElement)
let running: Worker | undefined

function element<E extends HTMLElement>(id: string, type: abstract new() => E): E {
  const found = document.getElementById(id)
  if (found instanceof type) return found
  throw new Error(`The page has no ${id}.`)
}

const fileOf = (id: string): File | undefined => element(id, HTMLInputElement).files?.[0]

const bytesOf = async (file: File): Promise<Uint8Array> => new Uint8Array(await file.arrayBuffer())

async function chosen(): Promise<Job | string> {
  const [network, training, heldOut] = ['network', 'training', 'heldOut'].map(fileOf)
  if (network === undefined || training === undefined) return 'Choose a network and its training rows first.'
  return {
    network: await bytesOf(network),
    hdf5: data.hdf5,
    training: await bytesOf(training),
    heldOut: heldOut && await bytesOf(heldOut),
    likelihood: element('likelihood', HTMLSelectElement).value as Job['likelihood'],
    target: element('target', HTMLInputElement).value.trim(),
  }
}

function example(): Job {
  const { network, training, heldOut } = data.example
  const text = new TextEncoder()
  return { network: Uint8Array.from(atob(network), character => character.charCodeAt(0)), hdf5: data.hdf5,
    training: text.encode(training), heldOut: text.encode(heldOut), likelihood: 'classification', target: '' }
}

function start(job: Job | string): void {
  end()
  if (typeof job === 'string') return tell(job, true)
  const url = URL.createObjectURL(new Blob([data.worker], { type: 'text/javascript' }))
  running = new Worker(url)
  URL.revokeObjectURL(url)
  running.onmessage = ({ data: answer }: MessageEvent<Answer>) => hear(answer)
  running.onerror = event => tell(event.message, true)
  running.postMessage(job)
  for (const id of ['report', 'downloads']) element(id, HTMLElement).hidden = true
  progress.hidden = stop.hidden = false
  tell('Reading the network …')
}

function end(): void {
  running?.terminate()
  running = undefined
  progress.hidden = stop.hidden = true
}

function tell(text: string, failed = false): void {
  state.textContent = text
  state.className = failed ? 'failed' : ''
  if (failed) progress.hidden = stop.hidden = true
}

function hear(answer: Answer): void {
  if (answer.kind === 'progress') {
    tell(`${STAGES[answer.stage] ?? answer.stage} …`)
    if (answer.share === undefined) progress.removeAttribute('value')
    else progress.value = answer.share
    return
  }
  end()
  if (answer.kind === 'failed') return tell(answer.message, true)
  const { onnx, posterior, report, notes } = answer
  tell(['Done.', ...notes, ...(typeof onnx === 'string' ? [`No ONNX file: ${onnx}`] : [])].join(' '))
  const frame = element('report', HTMLIFrameElement)
  frame.srcdoc = report
  frame.hidden = false
  const files: [string, BlobPart][] = [['report.html', report], ['network.posterior', posterior as BlobPart]]
  if (typeof onnx !== 'string') files.push(['posterior.onnx', onnx as BlobPart])
  const downloads = element('downloads', HTMLElement)
  downloads.replaceChildren('Download:', ...files.map(([name, part]) => link(name, part)))
  downloads.hidden = false
}

function link(name: string, part: BlobPart): HTMLAnchorElement {
  const anchor = document.createElement('a')
  anchor.href = URL.createObjectURL(new Blob([part]))
  anchor.download = anchor.textContent = name
  return anchor
}

/** Files may be dropped on the field that they belong in. */
function takeDrops(label: HTMLLabelElement): void {
  const input = element(label.dataset['file'] ?? '', HTMLInputElement)
  label.addEventListener('dragover', event => {
    event.preventDefault()
    label.classList.add('over')
  })
  label.addEventListener('dragleave', () => label.classList.remove('over'))
  label.addEventListener('drop', event => {
    event.preventDefault()
    label.classList.remove('over')
    if (event.dataTransfer !== null) input.files = event.dataTransfer.files
  })
}

document.querySelectorAll<HTMLLabelElement>('label[data-file]').forEach(takeDrops)
element('start', HTMLButtonElement).onclick = () => {
  chosen().then(start, (error: unknown) => tell(String(error), true))
}
element('try', HTMLButtonElement).onclick = () => start(example())
stop.onclick = () => {
  end()
  tell('Stopped.')
}
