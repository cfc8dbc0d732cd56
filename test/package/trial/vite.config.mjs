const { FORMAT } = process.env

export default {
  build: { outDir: `vite-${FORMAT}`, ssr: './run.mjs', target: 'node20', minify: false,
    rollupOptions: { external: ['onnxruntime-node', 'h5wasm', 'vega', 'vega-lite', 'vega-interpreter'],
      output: { format: FORMAT, entryFileNames: FORMAT === 'cjs' ? 'run.cjs' : 'run.mjs' } } },
  ssr: { noExternal: true },
}
