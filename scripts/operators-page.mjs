/**
 * @file Writes docs/operators.md, the table of the operators that are read: `npm run build:js`, then
 * `node scripts/operators-page.mjs`. test/adapters/onnx/operators-page.test.ts compares the page with the registry.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** The operator sets that gave each operator of ONNX a new form. */
const SETS = JSON.parse(readFileSync(new URL('onnx-operator-sets.json', import.meta.url), 'utf8'))

const FACTORS = new Map([['MatMul', 'factors'], ['Gemm', 'factors'], ['Conv',
  'factors of the patches; with groups as other weights']])

/** Networks with these are differentiated with their steps written out (core/passes/unroll.ts). */
const UNROLLED = new Set(['RNN', 'GRU', 'LSTM'])

const HEAD = sets =>
  `# Operators

Written by \`scripts/operators-page.mjs\` from the registry (\`core/ops/registry.ts\`) and the reader of ONNX files; a
test keeps it current. Files of operator sets ${sets.join(' to ')} are read: older forms of an operator are brought to
the newest one.

- Every operator has a rule for shapes and a kernel.
- *sets*: the operator sets of the standard that gave the operator a new form; a file's own set says which it has. Sets
  before the oldest one that is read are that one's.
- *derivative*: \`rule\`, the vector-Jacobian product; \`zero\`, no gradient flows (steps, comparisons, indices);
  \`none\`: a network in which a gradient would have to pass is refused with NOT_DIFFERENTIABLE.
- *J v* is the derivative of the vector-Jacobian product with respect to the cotangent, so that it exists wherever the
  rule does.
- *Kronecker*: \`factors\`, A and B of a weight that meets the examples here; a convolution in groups (a depthwise one)
  has A and B for each group. Weights of all other operators, scales, shifts and tables get a dense block of up to 64
  entries, beyond that a diagonal one.
- *written in others*: the reader writes the operator in those of this table when a file is opened, which is where its
  derivative, its J v and its factors come from. If, Loop and Scan are unrolled, where what decides does not depend on
  the data.

| operator | sets | derivative | J v | Kronecker |
|---|---|---|---|---|
`

/** What a derivative rule is: rules read the cotangents that they are given, those of steps do not. */
function derivative({ backward }) {
  if (backward === undefined) return 'none'
  try {
    return backward({}).every(each => each === undefined) ? 'zero' : 'rule'
  } catch {
    return 'rule'
  }
}

/** The forms that are read, the first of them by the oldest set if it is older. */
function setsOf(op, [oldest]) {
  const versions = (SETS[op] ?? []).map(version => Math.max(version, oldest))
  return [...new Set(versions)].join(', ')
}

function row(op, { isSupported, operatorFor }, sets) {
  const first = `| ${op} | ${setsOf(op, sets)} |`
  if (!isSupported(op)) return `${first} written in others | | |`
  if (UNROLLED.has(op)) return `${first} of its steps | yes | factors of its steps' products |`
  const found = derivative(operatorFor(op))
  return `${first} ${found} | ${found === 'rule' ? 'yes' : found} | ${FACTORS.get(op) ?? ''} |`
}

/** The page, from the modules of the registry, the reader's operator sets and its operators of ONNX Runtime. */
export function operatorsPage({ registry, sets, contributed }) {
  const plain = registry.supportedOperators().map(op => row(op, registry, sets))
  const others = [...contributed].sort().map(op => `| ${op.replace('::', ' ')} | | written in others | | |`)
  return `${HEAD(sets)}${[...plain, ...others].join('\n')}\n`
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [registry, { OLDEST_OPSET, NEWEST_OPSET }, { CONTRIBUTED }] = await Promise.all(
    ['core/ops/registry.js', 'adapters/onnx/upgrade.js', 'adapters/onnx/contributed/index.js'].map(file =>
      import(new URL(`../dist/${file}`, import.meta.url).href)
    ),
  )
  const page = operatorsPage({ registry, sets: [OLDEST_OPSET, NEWEST_OPSET], contributed: CONTRIBUTED.keys() })
  writeFileSync(new URL('../docs/operators.md', import.meta.url), page)
}
