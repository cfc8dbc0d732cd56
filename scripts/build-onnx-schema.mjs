// Makes adapters/onnx/schema.ts, the static decoder and encoder of the ONNX file format, from
// adapters/onnx/schema.proto. With --check it writes nothing and fails when the file is not up to date.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import pbjs from 'protobufjs-cli/pbjs.js'

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), '../adapters/onnx')
const header = '// @ts-nocheck: generated code; messages.ts gives it types.\n' +
  '/** @file Made by scripts/build-onnx-schema.mjs from schema.proto with protobufjs-cli; do not edit. */\n'

/** The generated module. */
async function generateSchema() {
  const options = [
    '--target',
    'static-module',
    '--wrap',
    'esm',
    '--root',
    'polylaplace-onnx',
    '--keep-case',
    '--force-number',
    '--no-create',
    '--no-verify',
    '--no-convert',
    '--no-delimited',
    '--no-typeurl',
    '--no-comments',
    '--no-service',
    '--lint',
    'eslint-disable',
  ]
  const code = await new Promise((resolve, reject) => {
    pbjs.main([...options, path.join(folder, 'schema.proto')], (error, output) => {
      if (error) reject(error)
      else resolve(output)
    })
  })
  return header + code
}

const target = path.join(folder, 'schema.ts')
const code = await generateSchema()
const unchanged = await readFile(target, 'utf8').then(old => old === code, () => false)
const check = process.argv.includes('--check')
if (!unchanged && !check) await writeFile(target, code)
process.stdout.write(
  `adapters/onnx/schema.ts: ${
    unchanged ? 'unchanged' : check ? 'not up to date; run npm run build:onnx-schema' : 'written'
  }\n`,
)
process.exitCode = check && !unchanged ? 1 : 0
