/** @file The examples in doc comments: each must compile, and what one says it returns must be what it returns. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { float64 } from '../../core/index.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Example {
  file: string
  line: number
  code: string
  module: string
}

/** What examples may use without saying where it comes from; their file's own exports come on top. */
const prelude = (file: string): string => `
import type { Tensor as $Tensor, Graph as $Graph } from '${root}core/index.js'
import type { ${file.startsWith('node/') ? 'Posterior' : 'LaplacePosterior'} as $Posterior } from '${
  root + (file.startsWith('node/') ? 'node/posterior.js' : 'core/index.js')
}'
declare const network: $Graph, posterior: $Posterior, bytes: Uint8Array
declare const x: $Tensor & { [index: number]: number }, y: $Tensor & { [index: number]: number }
declare const w0: $Tensor, w1: $Tensor, b0: $Tensor, b1: $Tensor, fit: { wts: Float64Array }
declare const tensors: import('${root}adapters/tensors/file-tensor.js').NamedTensors
declare const architecture: readonly import('${root}adapters/layers/index.js').LayerSpec[]
import * as zlib from 'node:zlib'
`

/** Names of the library that examples use beside those of their own file. */
const BESIDE: Record<string, string> = {
  'core/graph/builder.ts': `import { BATCH } from '${root}core/graph/graph.js'`,
  'core/metrics/index.ts': `import { float64 } from '${root}core/tensor/tensor.js'`,
  'node/arrow.ts': `import { laplace } from '${root}index.js'
declare const reader: AsyncIterable<import('${root}node/arrow.js').ArrowBatch>`,
  'node/mixture.ts': `declare const another: import('${root}node/posterior.js').Posterior`,
  'node/own-likelihood.ts': `import { type OwnLikelihood } from '${root}node/own-likelihood.js'`,
  'node/files/external-data.ts': `import { readOnnx } from '${root}adapters/onnx/index.js'`,
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(file =>
    /\.m?ts$/.test(file) && !file.includes('generated') && !file.includes('assembly')
  ).map(file => join(folder, file))
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(join(root, file), 'utf8')
  const names = [...text.matchAll(/^export (?:async )?(?:function\*?|class|const) (\w+)/gm)].map(match => match[1])
  return [...text.matchAll(/^ *\* @example\n((?: *\* .*\n)+?) *\*\//gm)].map(match => {
    const code = match[1].replace(/^ *\* /gm, '')
    // A name that the example declares itself hides the prelude's: examples are blocks.
    const imports = /^import /m.test(code)
      ? ''
      : `import { ${names.join(', ')} } from '${root}${file.replace(/ts$/, 'js')}'\n${BESIDE[file] ?? ''}`
    const body = code.replace(/^import .* from 'polylaplace'$/gm, '')
    const own = code === body ? imports : `import { laplace } from '${root}index.js'`
    return { file, line: text.slice(0, match.index).split('\n').length, code,
      module: `${own}${prelude(file)}{\n${body}}\nexport {}\n` }
  })
}

const examples = ['core', 'adapters', 'node', 'cli', 'protocol'].flatMap(sources).flatMap(examplesOf)

t.test('every example compiles', async t => {
  t.ok(examples.length >= 20, `${examples.length} examples`)
  const virtual = new Map(examples.map((example, i) => [`${root}example-${i}.ts`, example]))
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
    types: ['node'],
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists, readFile } = host
  host.fileExists = name => virtual.has(name) || fileExists(name)
  host.readFile = name => virtual.get(name)?.module ?? readFile(name)
  host.getSourceFile = (name, ...rest) => {
    const example = virtual.get(name)
    return example === undefined
      ? getSourceFile(name, ...rest)
      : ts.createSourceFile(name, example.module, ts.ScriptTarget.ES2022)
  }
  const program = ts.createProgram([...virtual.keys()], options, host)
  for (const [name, { file, line, code }] of virtual) {
    const faults = ts.getPreEmitDiagnostics(program, program.getSourceFile(name)).map(fault =>
      ts.flattenDiagnosticMessageText(fault.messageText, '\n')
    )
    t.same(faults, [], `${file}:${line}\n${code}`)
  }
})

t.test('what examples say they return', async t => {
  const AsyncFunction = (async () => undefined).constructor as new(
    ...parameters: string[]
  ) => (...values: unknown[]) => Promise<unknown>
  let said = 0
  for (const { file, line, code } of examples) {
    const [, expression, value] = /(?:^|\n)([^\n]+?) +\/\/ (-?\d+(?:\.\d+)?)\.*\n$/.exec(code) ?? []
    if (value === undefined) continue
    said++
    const names = { ...await import(`../../${file.replace(/ts$/, 'js')}`) as Record<string, unknown>, float64 }
    const body = code.slice(0, code.lastIndexOf(expression))
    const javascript = ts.transpile(`${body}\nreturn ${expression}`, { target: ts.ScriptTarget.ES2022 })
    const result = await new AsyncFunction(...Object.keys(names), javascript)(...Object.values(names))
    t.equal(String(result).slice(0, value.length), value, `${file}:${line}`)
  }
  t.ok(said >= 2)
})
