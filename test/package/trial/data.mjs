// Some rows of the demo's digits as JSON, and rows to predict.
import { readFileSync } from 'node:fs'

const { scale, pixels, labels } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const ink = Buffer.from(pixels, 'base64')
const rows = (from, to) =>
  Array.from({ length: to - from }, (_, i) =>
    Array.from(ink.subarray((from + i) * 64, (from + i + 1) * 64), v => v / scale))
console.log(JSON.stringify({ x: rows(0, 120), y: Array.from(labels.slice(0, 120), Number), xNew: rows(600, 605) }))
