/**
 * @file Sessions by what they compute. Programs of equal graphs share one, so that another fit of a network neither
 * waits for its session nor holds a second one; and as a session's memory is nothing that a collection of garbage is
 * told of, it is released when its last program is given up, and where many others have been used since.
 */

/** What is released when nobody uses it any more. */
interface Releasable {
  release(): Promise<void>
}

/** Sessions of one runtime. */
export interface SessionStore<S extends Releasable> {
  /** Does something with the session of a key, which is made where there is none. @throws what `make` throws */
  use<R>(key: string, make: () => Promise<S>, work: (session: S) => Promise<R>): Promise<R>
  /** Keeps the session of a key until as many have left as have entered, unless `most` others are used after it. */
  enter(key: string): void
  leave(key: string): void
}

/** Sessions that are held at once; what is used again after it was released is made again. */
const MOST = 16

interface Entry<S> {
  readonly session: Promise<S>
  running: number
}

/** A store without sessions. */
export function sessionStore<S extends Releasable>(most = MOST): SessionStore<S> {
  /** The session that was used last comes last. */
  const entries = new Map<string, Entry<S>>()
  const users = new Map<string, number>()
  const release = (key: string): void => {
    const entry = entries.get(key)
    if (entry === undefined || entry.running > 0) return
    entries.delete(key)
    entry.session.then(session => session.release()).catch(() => undefined)
  }
  const releaseSurplus = (): void => {
    for (const key of entries.keys()) if (entries.size > most || !users.has(key)) release(key)
  }
  return {
    async use(key, make, work) {
      const entry = entries.get(key) ?? { session: make(), running: 0 }
      entries.delete(key)
      entries.set(key, entry)
      entry.running++
      try {
        const session = await entry.session.catch((error: unknown) => {
          if (entries.get(key) === entry) entries.delete(key)
          throw error
        })
        return await work(session)
      } finally {
        entry.running--
        releaseSurplus()
      }
    },
    enter(key) {
      users.set(key, (users.get(key) ?? 0) + 1)
    },
    leave(key) {
      const left = (users.get(key) ?? 0) - 1
      if (left > 0) users.set(key, left)
      else {
        users.delete(key)
        release(key)
      }
    },
  }
}
