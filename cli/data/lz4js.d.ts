declare module 'lz4js' {
  /** The content of an LZ4 frame. */
  export function decompress(frame: Uint8Array, mostBytes?: number): Uint8Array
}
