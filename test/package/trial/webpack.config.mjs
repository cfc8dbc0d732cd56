const optional = ['onnxruntime-node', 'h5wasm', 'vega', 'vega-lite', 'vega-interpreter']
const cjs = process.env.FORMAT === 'cjs'

export default {
  mode: 'production',
  target: 'node20',
  entry: './run.mjs',
  externals: Object.fromEntries(optional.map(name => [name, `${cjs ? 'commonjs' : 'import'} ${name}`])),
  experiments: { outputModule: !cjs },
  output: { path: `${process.cwd()}/webpack-${process.env.FORMAT}`, filename: cjs ? 'run.cjs' : 'run.mjs',
    library: { type: cjs ? 'commonjs2' : 'module' } },
}
