import { build } from 'esbuild'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../../', import.meta.url))

t.test('schema.ts is what the schema generates', async t => {
  t.match(
    execFileSync(process.execPath, [join(root, 'scripts/build-onnx-schema.mjs'), '--check'], { encoding: 'utf8' }),
    /unchanged/,
  )
})

t.test('reader and writer run where code generation from strings is forbidden', async t => {
  const path = t.testdir({ 'entry.ts': `
    import { readFileSync } from 'node:fs'
        import { readOnnx, writeOnnx } from ${JSON.stringify(join(root, 'adapters/onnx/index.ts'))}
    import { runGraph } from ${JSON.stringify(join(root, 'core/engine/typescript.ts'))}
    const graph = readOnnx(writeOnnx(readOnnx(readFileSync(process.argv[2]))))
    const x = { dtype: 'float64', shape: [1, 2], data: Float64Array.of(1, -1) }
    let forbidden = false
    try { new Function('') } catch { forbidden = true }
    const [output] = runGraph(graph, new Map([['x', x]]), 'float64').values()
    console.log(JSON.stringify([forbidden, graph.parameters.length, output.shape]))
  ` })
  const bundle = join(path, 'bundle.cjs')
  await build({ entryPoints: [join(path, 'entry.ts')], outfile: bundle, bundle: true, platform: 'node', format: 'cjs',
    logLevel: 'error', nodePaths: [join(root, 'node_modules')] })
  const model = join(root, 'test/fixtures/cases/classification-4/model.onnx')
  t.equal(
    execFileSync(process.execPath, ['--disallow-code-generation-from-strings', bundle, model], { encoding: 'utf8',
      env: {} }).trim(),
    '[true,4,[1,4]]',
  )
})
