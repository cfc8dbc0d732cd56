/** @file The protocol for programs in TypeScript: frames, messages, arrays, and the server. */
export { tensorFromWire, tensorToWire, WIRE_DTYPES } from './arrays.js'
export { decodeMessage } from './decode.js'
export type { DecodedMap } from './decoded-map.js'
export { encodeFrame, type WireMap, type WireValue } from './encode.js'
export { createFrameReader, type FrameReader } from './frame.js'
export { type Build, serveCommand } from './main.js'
