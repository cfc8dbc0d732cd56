/** @file The protocol for programs in TypeScript: frames, messages, arrays, and the server. */
export { tensorFromWire, tensorToWire, WIRE_DTYPES } from './frames/arrays.js'
export { decodeMessage } from './frames/decode.js'
export type { DecodedMap } from './frames/decoded-map.js'
export { encodeFrame, type WireMap, type WireValue } from './frames/encode.js'
export { createFrameReader, type FrameReader } from './frames/frame.js'
export { type Build, serveCommand } from './main.js'
