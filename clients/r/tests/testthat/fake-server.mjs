// A server that misbehaves: it answers hello, and what follows as its first argument says. Frames are answered one by one as chunks
// arrive, because R sends one at a time and waits.
import { openSync, writeSync } from 'node:fs'

const [mode] = process.argv.slice(2)
const fd = openSync(process.argv[process.argv.indexOf('--output') + 1], 'r+')
const text = value => Buffer.concat([Buffer.from([0xa0 | value.length]), Buffer.from(value)])
const answer = (id, ...fields) => {
  const body = Buffer.concat([Buffer.from([0x83]), text('t'), text('res'), text('id'), Buffer.from([id]), text('ok'), Buffer.from([0x80 | fields.length / 2]), ...fields])
  const head = Buffer.alloc(4)
  head.writeUInt32LE(body.length)
  return Buffer.concat([head, body])
}
const pong = () => answer(2, text('echo'), Buffer.from([7]))
const end = code => { setTimeout(() => process.exit(code), 50) }

const misbehave = {
  bytes: async () => { for (const byte of pong()) { writeSync(fd, Buffer.from([byte])); await new Promise(resolve => setTimeout(resolve, 1)) } },
  half: () => { writeSync(fd, pong().subarray(0, 9)); end(0) },
  claim: () => { writeSync(fd, Buffer.from([0, 0, 0, 0xc0, 0x83])); end(0) },
  garbage: () => { writeSync(fd, Buffer.from([1, 0, 0, 0, 0xc1])) },
  exit: () => { process.stderr.write('the reason for leaving\n'); end(7) },
  flood: () => { for (let i = 0; i < 2000; i++) process.stderr.write(`${'x'.repeat(1000)}\n`); writeSync(fd, pong()) },
  deaf: () => undefined,
  stranger: () => { writeSync(fd, answer(99)); writeSync(fd, pong()) },
}

let received = 0
process.stdin.on('data', () => {
  received += 1
  if (received === 1) writeSync(fd, answer(1, text('version'), text('0')))
  else if (received === 2) void misbehave[mode]()
})
process.stdin.on('end', () => process.exit(0))
