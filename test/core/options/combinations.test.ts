/** @file docs/combinations.md against the program: every cell of its tables is fitted, or refused as it says. */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { OptionError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import type { Tensor } from '../../../core/tensor/tensor.js'
import { drawer, perceptron } from '../../support/random-network.js'

const ROWS = 24
const draw = drawer(7)
const graph = perceptron(draw, 3, 4, 2, 'Tanh')
const single = perceptron(draw, 3, 4, 1, 'Tanh')
const x = draw(ROWS, 3)

type Likelihood = LaplaceOptions['likelihood']

function labels(likelihood: Likelihood): Tensor {
  const outputs = likelihood === 'classification' || likelihood === 'binary' || likelihood === 'heteroscedastic' ? 1 : 2
  const y = drawer(9)(ROWS, outputs)
  const value = (number: number): number =>
    likelihood === 'regression' || likelihood === 'heteroscedastic'
      ? number
      : likelihood === 'poisson'
      ? Math.floor(number * number)
      : Number(number > 0)
  return { ...y, shape: likelihood === 'classification' ? [ROWS] : y.shape, data: Float64Array.from(y.data, value) }
}

interface Cell {
  readonly options: Partial<LaplaceOptions>
  readonly then?: 'partial' | 'compare' | 'conformalize'
}

async function works({ options, then }: Cell): Promise<boolean> {
  const likelihood = options.likelihood ?? 'classification'
  const y = labels(likelihood)
  const held = options.tune === 'grid' || options.tune === 'validated' ? { validation: { x, y } } : {}
  try {
    const prepared = laplace(likelihood === 'binary' ? single : graph, { ...options, ...held, likelihood })
    if (then === 'partial') {
      await prepared.fitPartial(x, y)
      return true
    }
    const posterior = await prepared.fit(x, y)
    const { mean, variance } = await posterior.predict(x, { uncertainty: false })
    if (!mean.data.every(Number.isFinite) || !variance.data.every(value => value >= 0)) throw new Error('no numbers')
    if (then === 'compare') await posterior.compare(x, y)
    if (then === 'conformalize') await posterior.conformalize(x, y)
    return true
  } catch (error) {
    if (error instanceof OptionError) return false
    throw error
  }
}

/** Cells by what begins their table: the first sentence above it. */
const TABLES: Record<string, (row: string, column: string) => Cell> = {
  'Curvature and structure': (row, column) => ({
    options: { subset: 'all', ...structureOf(column, row === 'hessian' ? 1 : 3), curvature: row as 'ggn',
      priorPrecision: 100 },
  }),
  'Subset and structure': (row, column) => ({
    options: { ...subsetOf(row), ...structureOf(column), ...(column === '`lowrank`' ? {} : { priorPrecision: 1 }) },
  }),
  'Structure and prior precisions': (row, column) => ({
    options: { subset: 'all', ...structureOf(column), ...priorOf(row) },
    ...(row === 'partial fits' ? { then: 'partial' } : {}),
  }),
  'Tuning and structure': (row, column) => ({
    options: { subset: 'last_layer', ...structureOf(column), tune: row as 'none' },
  }),
  'Likelihood and the rest': (row, column) => ({
    options: { likelihood: column as Likelihood, ...ofLikelihood(row) },
    ...(row === 'compare' || row === 'conformalize' ? { then: row } : {}),
  }),
}

/** @param rank of a Hessian, whose eigenvalues may be negative, one */
function structureOf(column: string, rank = 3): Partial<LaplaceOptions> {
  if (column === '`lowrank`') return { structure: 'lowrank' }
  return column.includes('rank`') ? { structure: 'lowrank', rank } : { structure: column as 'kron' }
}

function subsetOf(row: string): Partial<LaplaceOptions> {
  if (!row.startsWith('`subnetwork`')) return { subset: row as 'all' }
  return { subset: 'subnetwork', subnetwork: row.includes('whole') ? ['2.weight'] : [0, 5, 17] }
}

function priorOf(row: string): Partial<LaplaceOptions> {
  const sizes = graph.parameters.map(({ shape }) => shape.reduce((a, b) => a * b, 1))
  if (row === 'one a tensor') return { priorPrecision: sizes.map((_, i) => i + 1) }
  if (row === 'one a parameter') return { priorPrecision: new Float64Array(sizes.reduce((a, b) => a + b, 0)).fill(2) }
  if (row === 'partial fits') return { priorPrecision: 1 }
  return { tune: 'marglik', priorStructure: row.slice('tuned `'.length, -1) as 'scalar' }
}

function ofLikelihood(row: string): Partial<LaplaceOptions> {
  if (/fisher|ggn|hessian/.test(row)) {
    return { subset: 'all', structure: 'full', curvature: row as 'ggn', priorPrecision: 1000 }
  }
  if (row.includes('lowrank')) return { subset: 'all', structure: 'lowrank' }
  if (row.includes('labelSmoothing')) return { subset: 'last_layer', priorPrecision: 1, labelSmoothing: 0.1 }
  if (row.includes('as a matrix')) return { subset: 'last_layer', priorPrecision: 1, sigmaNoise: [[1, 0.5], [0.5, 1]] }
  if (row.includes('classWeight')) return { subset: 'last_layer', priorPrecision: 1, classWeight: 'balanced' }
  if (row === 'compare' || row === 'conformalize') return { subset: 'last_layer', priorPrecision: 1 }
  return { subset: 'last_layer', tune: row as 'marglik' }
}

/** A word in back quotes alone is the word. */
const bare = (cell: string): string => (/^`[a-z_]+`$/.test(cell) ? cell.slice(1, -1) : cell)

const parts = readFileSync('docs/combinations.md', 'utf8').split('\n\n')
for (const [i, table] of parts.entries()) {
  if (!table.startsWith('| |')) continue
  const title = Object.keys(TABLES).find(name => parts[i - 1].startsWith(name))
  t.test(title ?? 'a table that no test knows', async (t: Test) => {
    if (title === undefined) return t.fail(parts[i - 1])
    const cells = table.trim().split('\n').map(line => line.split('|').slice(1, -1).map(cell => cell.trim()))
    const [, ...columns] = cells[0]
    for (const [row, ...values] of cells.slice(2)) {
      for (const [c, value] of values.entries()) {
        const column: string = title === 'Subset and structure' && columns[c] === '`lowrank`'
          ? columns[c]
          : bare(columns[c])
        t.equal(await works(TABLES[title](bare(row), column)) ? 'yes' : 'no', value, `${row} ${columns[c]}`)
      }
    }
  })
}
