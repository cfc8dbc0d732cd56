/** @file What is measured: this library on its engines and through the Python client, and its peers. */
import { fileURLToPath } from 'node:url'

const here = name => fileURLToPath(new URL(name, import.meta.url))
const cellArguments = ({ path, cell },
  { reduced, quick }) => [path, cell, ...reduced ? ['--reduced'] : [], ...quick ? ['--quick'] : []]

const ours = engine => ({
  key: engine,
  label: `polylaplace, ${engine}`,
  command: (cell, how) => [process.execPath, [here('ours.mjs'), ...cellArguments(cell, how), '--engine', engine]],
  has: () => true,
})

/**
 * Each with a `key`, a `label` for tables, the cells it `has`, and the `command` that measures one: [program,
 * arguments, environment]. `peer`: needs the benchmark's Python environment, and runs at the sizes that the workload
 * names for it.
 */
export const LIBRARIES = [
  ours('typescript'),
  ours('onnxruntime'),
  {
    key: 'client',
    label: 'polylaplace through Python, typescript',
    command: (cell,
      how) => [how.python, [here('ours_client.py'), ...cellArguments(cell, how), '--engine', 'typescript'], {
      PYTHONPATH: here('../clients/python/src'),
    }],
    has: ({ spec }) => spec.network === undefined,
  },
  {
    key: 'laplace-torch',
    label: 'laplace-torch',
    peer: true,
    command: (cell, how) => [how.python, [here('peers/laplace_torch.py'), ...cellArguments(cell, how)]],
    has: () => true,
  },
  {
    key: 'laplax',
    label: 'laplax',
    peer: true,
    command: (cell,
      how) => [how.python, [here('peers/laplax_diagonal.py'), ...cellArguments(cell, { ...how, reduced: false })]],
    has: ({ spec, cell }) => spec.laplax?.includes(cell) ?? false,
  },
]

/** The engines' keys, each of which names a rate of bench/gemm-rate.mjs. */
export const ENGINES = ['typescript', 'onnxruntime']
