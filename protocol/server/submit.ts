/** @file Hands requests to the compute threads, and their outcomes to the client. */
import { ProtocolError } from '../../core/errors/errors.js'
import { failure } from '../messages/answers.js'
import type { HandleKind } from '../messages/handle-kind.js'
import { progressNote } from '../messages/notes.js'
import type { Request } from '../messages/requests.js'
import type { Handle } from './handles.js'
import type { Outcome } from './job.js'
import { sendAnswer, sendMessage, type SessionState } from './session-state.js'

/**
 * Queues a request in the thread that holds its handles.
 * @param creates the kind of handle that a successful request leaves behind
 * @param buffer what the views in the request's parameters look into
 * @throws ProtocolError BUSY, UNKNOWN_HANDLE; ResourceError OUT_OF_MEMORY when there are too many handles
 */
export function submit(state: SessionState, request: Request, creates: HandleKind | undefined,
  buffer: ArrayBuffer): void {
  const { handles, pool, underWay } = state
  const { id, method, params, deadline, progress } = request
  refuseTooMany(state)
  const used = handles.inParams(params)
  refuseMixed(used)
  const name = creates === undefined ? undefined : handles.reserve(creates)
  underWay.add(id)
  // Assigned before `done` can be called: answers come from another thread or a timer.
  let worker = -1
  const done = (outcome: Outcome): void => {
    conclude(state, id, name, worker, outcome)
  }
  worker = pool.submit({ id, method, params, buffer, uses: used.map(handle => handle.name), creates: name,
    language: state.language, deadline, progress, done, onProgress: report => {
      sendMessage(state, progressNote(id, report))
    } }, used.at(0)?.worker)
}

function refuseTooMany({ options: { limits: { maxInFlight } }, underWay }: SessionState): void {
  if (underWay.size < maxInFlight) return
  throw new ProtocolError('BUSY',
    `${maxInFlight} requests are under way; send more when one of them has been answered.`, { limit: maxInFlight })
}

/** Handles of one request live in one thread. */
function refuseMixed(used: readonly Handle[]): void {
  const other = used.find(handle => handle.worker !== used[0].worker)
  if (other === undefined) return
  throw new ProtocolError('UNKNOWN_HANDLE',
    `'${used[0].name}' and '${other.name}' were made from different networks and cannot be used together.`, {
    handle: other.name,
  })
}

/** Answers a request, after the handles are as the answer says: the client may use them at once. */
function conclude(state: SessionState, id: number, name: string | undefined, worker: number, outcome: Outcome): void {
  const { handles, underWay } = state
  underWay.delete(id)
  for (const dropped of outcome.dropped) handles.remove(dropped, 'its fit has ended')
  const made = 'frame' in outcome && !outcome.failed
  if (name !== undefined) {
    if (made) handles.add(name, worker)
    else handles.release(name)
  }
  if ('frame' in outcome) sendAnswer(state, id, outcome.frame)
  else sendMessage(state, failure(id, outcome.error))
}
