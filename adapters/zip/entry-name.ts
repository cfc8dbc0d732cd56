/**
 * @file Names of zip entries: relative paths of plain segments, and nothing that another reader could take for
 * something else.
 */
import { refuseZip } from './refusal.js'

const MOST_NAME_BYTES = 1024

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Names as model files have them, of which nothing else needs to be checked. */
const PLAIN = /^\.?\w[\w-]*(\.[\w-]+)*(\/\.?\w[\w-]*(\.[\w-]+)*)*\/?$/

/**
 * Decodes and checks the name of an entry. A folder's name keeps its `/` at the end.
 * @throws UntrustedInputError for names that are not UTF-8, absolute, hold `..`, a backslash, control characters, ...
 */
export function entryName(bytes: Uint8Array, utf8: boolean, offset: number): string {
  if (bytes.length === 0 || bytes.length > MOST_NAME_BYTES) {
    refuseZip(`has an entry name of ${bytes.length} bytes`, { offset, limit: MOST_NAME_BYTES, actual: bytes.length })
  }
  if (!utf8 && bytes.some(byte => byte > 0x7E)) {
    refuseZip('has an entry name that is neither ASCII nor marked as UTF-8', { offset })
  }
  let name: string
  try {
    name = decoder.decode(bytes)
  } catch {
    return refuseZip('has an entry name that is not UTF-8', { offset })
  }
  const fault = faultOf(name)
  if (fault !== undefined) {
    refuseZip(`has the entry name ${JSON.stringify(name.slice(0, 100))}, which ${fault}`, { offset, path: name })
  }
  return name
}

function faultOf(name: string): string | undefined {
  if (PLAIN.test(name) && !name.includes('__proto__')) return undefined
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001F\u007F-\u009F\u2028\u2029]/.test(name)) return 'holds control characters'
  if (name.includes('\\')) return 'holds a backslash'
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) return 'is an absolute path'
  const segments = (name.endsWith('/') ? name.slice(0, -1) : name).split('/')
  if (segments.some(segment => segment === '..' || segment === '.')) return 'leaves its folder'
  if (segments.includes('')) return 'has an empty part'
  return segments.includes('__proto__') ? 'is not a name that any library writes' : undefined
}

/** Names that one file system would take for the same are the same. */
export function comparable(name: string): string {
  return (name.endsWith('/') ? name.slice(0, -1) : name).normalize('NFC').toLowerCase()
}
