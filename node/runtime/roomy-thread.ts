/**
 * @file Threads whose heaps have room for garbage. V8 collects the garbage of a small heap each time a few megabytes of
 * arrays have come and gone, and its helpers walk through the whole heap for it: of short batches that was a third of
 * the time of two processors.
 */
import { setFlagsFromString } from 'node:v8'
import { Worker as NodeThread, type WorkerOptions } from 'node:worker_threads'

/** Megabytes that a heap and its arrays may reach before all of it is collected; arrays of late go before that. */
const ROOM = 64

/**
 * Megabytes of young objects, of which V8 takes 16 and more where it is not told: arrays of batches that are given up
 * stay until their objects are looked at, so each thread held 10 to 20 MB of them that nobody needed.
 */
const YOUNG = 3

/** Threads whose heaps may not be there yet. */
let starting = 0

/** A thread of a module. V8 knows such room as a flag of the process, which is set until the thread has its heap. */
export function startRoomyThread(module: URL, options: WorkerOptions): NodeThread {
  setRoom(ROOM)
  starting++
  const thread = new NodeThread(module, { ...options, resourceLimits: { maxYoungGenerationSizeMb: YOUNG } })
  const started = (): void => {
    thread.off('online', started).off('exit', started)
    if (--starting === 0) setRoom(0)
  }
  return thread.on('online', started).on('exit', started)
}

/** Megabytes; 0 is V8's own choice. */
function setRoom(megabytes: number): void {
  setFlagsFromString(`--initial-old-space-size=${megabytes}`)
}
