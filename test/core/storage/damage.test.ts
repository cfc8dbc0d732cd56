/**
 * @file 47, 52, 53 and 57 of the list of attacks: posteriors and partial fits that were damaged, or made to harm. Any
 * changed bit is refused; what contradicts itself is refused also where the digest fits.
 */
import t from 'tap'
import { LaplaceError, UntrustedInputError } from '../../../core/errors/errors.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import { type Tree, writeContainer } from '../../../core/storage/container.js'
import { readPartialFit, writePartialFit } from '../../../core/storage/partial-fit-file.js'
import { readPosterior } from '../../../core/storage/posterior-file.js'
import { NO_DIGEST_NOTE, readContainer } from '../../../core/storage/read-container.js'
import { mergePartialFits } from '../../../core/sums/partial-fit.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { fixture } from '../../support/fixture.js'
import { referenceCase } from '../../support/reference-case.js'
import { failureOf } from '../../support/survives.js'

const FLIPS = 300
const STRUCTURES = ['kron', 'full', 'diag', 'blockdiag'] as const

const posteriorOf = async (name: string, options: LaplaceOptions, network = true): Promise<Uint8Array> => {
  const { graph, x, y } = referenceCase(name)
  const posterior = await laplace(graph, options).fit(x, y)
  const conformal = options.likelihood === 'regression' ? await posterior.conformalize() : posterior
  return conformal.save({ network })
}

const partialOf = async (structure: (typeof STRUCTURES)[number], from = 0, to = 120): Promise<Uint8Array> => {
  const { graph, x, y } = referenceCase('binary')
  const part = (tensor: typeof x): typeof x => {
    const width = tensor.data.length / tensor.shape[0]
    return { ...tensor, shape: [to - from, ...tensor.shape.slice(1)],
      data: tensor.data.slice(from * width, to * width) } as typeof x
  }
  return writePartialFit(await laplace(graph, { likelihood: 'binary', subset: 'last_layer', structure }).fitPartial(
    part(x),
    part(y),
  ))
}

/** Files of every kind with the function that reads them. */
async function files(): Promise<[string, Uint8Array, (bytes: Uint8Array) => unknown][]> {
  const read: [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
    ['linear model, intervals', await posteriorOf('regression-1d', { likelihood: 'regression' }), readPosterior],
    ['linear model, classes', await posteriorOf('tabular-iris', { likelihood: 'classification' }), readPosterior],
    ['without its network', await posteriorOf('binary', { likelihood: 'binary', subset: 'last_layer' }, false),
      readPosterior],
  ]
  for (const structure of STRUCTURES) {
    read.push([`all weights, ${structure}`,
      await posteriorOf('binary', { likelihood: 'binary', subset: 'all', structure }), readPosterior])
    read.push([`partial fit, ${structure}`, await partialOf(structure), readPartialFit])
  }
  return read
}

t.test('52 any flipped bit is refused, and files that are cut off or have more at the end', async t => {
  for (const [name, bytes, read] of await files()) {
    t.doesNotThrow(() => read(bytes), name)
    const random = randomGenerator(52)
    const accepted: string[] = []
    const attempt = (changed: Uint8Array, what: string): void => {
      if (!(failureOf(() => read(changed)) instanceof UntrustedInputError)) accepted.push(what)
    }
    for (let flip = 0; flip < FLIPS; flip++) {
      // The header and the end in every file, the rest at random.
      const bit = flip < 128 ? flip : Math.floor(random.uniform() * 8 * bytes.length)
      const changed = bytes.slice()
      changed[bit >> 3] ^= 1 << (bit & 7)
      attempt(changed, `bit ${bit}`)
    }
    for (let cut = 1; cut <= 50; cut++) {
      attempt(bytes.slice(0, bytes.length - cut), `${cut} bytes less`)
      attempt(bytes.slice(0, Math.floor(random.uniform() * bytes.length)), 'cut')
    }
    for (const more of [1, 8, 32]) attempt(Uint8Array.of(...bytes, ...new Uint8Array(more)), `${more} bytes more`)
    t.same(accepted, [], name)
  }
})

t.test('52 files of version 0.1.0 are read, and say that they carry no digest', async t => {
  const { xTest } = referenceCase('binary')
  for (const structure of ['kron', 'full', 'diag'] as const) {
    const bytes = fixture(`posteriors-0.1.0/${structure}.posterior`)
    const posterior = loadPosterior(bytes)
    t.ok(posterior.notes.includes(NO_DIGEST_NOTE))
    const { p } = JSON.parse(new TextDecoder().decode(fixture(`posteriors-0.1.0/${structure}.json`))) as { p: number[] }
    const prediction = await posterior.predict(xTest)
    t.ok(p.every((value, i) => Math.abs(value - (prediction.probabilities?.data[i] ?? NaN)) < 1e-12),
      `${structure}: the numbers of 0.1.0`)
    const again = loadPosterior(posterior.save())
    t.same(again.notes.filter(note => note === NO_DIGEST_NOTE).length, 1)

    const old = readPartialFit(fixture(`posteriors-0.1.0/${structure}.partial`))
    const { graph } = referenceCase('binary')
    const merged = mergePartialFits(old, readPartialFit(writePartialFit(old)))
    t.equal(merged.examples, 240)
    const made = await laplace(graph, { likelihood: 'binary', subset: 'last_layer', structure }).fitMerged(merged)
      .catch((error: unknown) => error)
    if (made instanceof LaplaceError) t.equal(made.code, 'DIGEST_MISMATCH', 'the graph of the case is another one')

    const twice = new Uint8Array([...bytes, ...new Uint8Array(8)])
    t.match(failureOf(() => readPosterior(twice))?.message, /belong to nothing/)
  }
})

/** The file with another tree, and a digest that fits. */
function changed(kind: string, bytes: Uint8Array, change: (tree: Record<string, Tree>) => unknown): Uint8Array {
  const tree = deepCopy(readContainer(kind, bytes).tree) as Record<string, Tree>
  change(tree)
  return writeContainer(kind, tree)
}

function deepCopy(tree: Tree): Tree {
  if (Array.isArray(tree)) return (tree as readonly Tree[]).map(deepCopy)
  if (typeof tree !== 'object' || tree === null || ArrayBuffer.isView(tree)) return tree
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, deepCopy(value as Tree)]))
}

/* eslint-disable @typescript-eslint/no-explicit-any -- trees are changed in every wrong way */
t.test('52 what contradicts itself is refused, though its digest fits', async t => {
  const bytes = await posteriorOf('binary', { likelihood: 'binary', subset: 'last_layer', structure: 'kron' })
  const wrong: [string, (tree: any) => unknown][] = [
    ['no examples', tree => tree.examples = 0],
    ['another likelihood', tree => tree.options.likelihood = 'classification'],
    ['another structure', tree => tree.options.structure = 'diag'],
    ['an unknown field', tree => tree.more = 1],
    ['an unknown field of the options', tree => tree.options.prior = 1],
    ['an unknown field of the network', tree => tree.network.nodes[0].domain = ''],
    ['another size', tree => tree.curvature.size += 1],
    ['no rows', tree => tree.curvature.blocks.forEach((block: any) => 'rows' in block && (block.rows = 0))],
    ['NaN in the curvature', tree => tree.curvature.blocks[0].B = Float64Array.of(NaN)],
    ['rows that do not add up', tree => tree.training.agreement.examples = -1],
    ['sigma of 0', tree => tree.settings.sigmaNoise = 0],
    ['a temperature below 0', tree => tree.settings.temperature = -1],
    ['a name twice', tree => tree.network.initializers.push(tree.network.initializers[0])],
    ['a dictionary for a word', tree => tree.tuned = { x: 1 }],
    ['an array for a word', tree => tree.options.likelihood = new Float64Array(1e5)],
  ]
  for (const [name, change] of wrong) {
    const error = failureOf(() => loadPosterior(changed('posterior', bytes, change)))
    t.ok(error instanceof LaplaceError, name)
    t.ok((error?.message.length ?? 0) < 500, `${name}: ${error?.message ?? 'accepted'}`)
  }
})

t.test('52 linear models that leave an output out, or explain it twice', async t => {
  const bytes = await posteriorOf('regression-1d', { likelihood: 'regression' })
  const loaded = (change: (models: any[]) => unknown): unknown =>
    failureOf(() => loadPosterior(changed('posterior', bytes, (tree: any) => change(tree.curvature.models))))
  for (const outputs of [[], [0, 0], [1], [0, 1], [-1], [0.5], ['0']]) {
    t.ok(loaded(models => models[0].outputs = outputs) instanceof UntrustedInputError, JSON.stringify(outputs))
  }
  t.ok(loaded(models => models.push(deepCopy(models[0]))) instanceof UntrustedInputError, 'twice')
})

t.test('52 sums of squares that are negative, and matrices that no sum can be', async t => {
  const of = { likelihood: 'binary', subset: 'all' } as const
  const negative = (array: Float64Array): Float64Array => array.map(value => -value)
  const askew = (array: Float64Array): Float64Array => array.with(1, array[1] + array.reduce((a, b) => Math.max(a, b)))
  const wrong: [LaplaceOptions['structure'], string, (curvature: any) => unknown][] = [
    ['diag', 'diagonal', curvature => curvature.diagonal = negative(curvature.diagonal)],
    ['ekfac', 'values', curvature => curvature.values = negative(curvature.values)],
    ['kron', 'B', curvature => curvature.blocks[0].B = negative(curvature.blocks[0].B)],
    ['kron', 'A', curvature => curvature.blocks[0].A = askew(curvature.blocks[0].A)],
    ['full', 'matrix', curvature => curvature.matrix = askew(curvature.matrix)],
    ['blockdiag', 'matrix', curvature => curvature.blocks[0].matrix = askew(curvature.blocks[0].matrix)],
  ]
  for (const [structure, field, change] of wrong) {
    const bytes = await posteriorOf('binary', { ...of, structure })
    const error = failureOf(() => loadPosterior(changed('posterior', bytes, (tree: any) => change(tree.curvature))))
    t.match(error?.message, new RegExp(`'${field}' should be`), `${structure}, ${field}`)
  }
})

t.test('53 partial fits that contradict themselves, or each other, are refused', async t => {
  const bytes = await partialOf('kron')
  const wrong: [string, (tree: any) => unknown][] = [
    ['no examples', tree => tree.examples = 0],
    ['a key that is a dictionary', tree => tree.key = { a: 1 }],
    ['a key of another structure', tree => tree.key = tree.key.replace('kron', 'full')],
    ['a key of another likelihood', tree => tree.key = tree.key.replace('binary', 'regression')],
    ['a structure that is a dictionary', tree => tree.curvature.structure = { a: 1 }],
    ['an unknown field', tree => tree.loss2 = 1],
    ['an agreement of another likelihood',
      tree =>
        tree.agreement = { kind: 'classes', outputs: 1, examples: 1, right: 1, counts: Float64Array.of(1),
          confusion: Float64Array.of(1) }],
  ]
  for (const [name, change] of wrong) {
    t.ok(failureOf(() => readPartialFit(changed('partial', bytes, change))) instanceof UntrustedInputError, name)
  }
  const good = readPartialFit(bytes)
  const smaller = readPartialFit(changed('partial', bytes, tree => {
    const curvature = tree['curvature'] as any
    curvature.blocks.pop()
    curvature.size = 12
  }))
  t.match(failureOf(() => mergePartialFits(good, smaller)), { code: 'DIGEST_MISMATCH' })
  const { graph } = referenceCase('binary')
  await t.rejects(laplace(graph, { likelihood: 'binary', subset: 'last_layer', structure: 'kron' }).fitMerged(smaller),
    {
      code: 'UNTRUSTED_INPUT',
    })
})

t.test('47 no array of a file stands for two, so that a file does not grow in memory', async t => {
  const text = (json: string): Uint8Array => new TextEncoder().encode(json)
  const version1 = (json: string, data: number): Uint8Array => {
    const header = text(json)
    const bytes = new Uint8Array(16 + Math.ceil(header.length / 8) * 8 + data)
    bytes.fill(0x20, 16, bytes.length - data)
    bytes.set(text('PLAPLACE'))
    new DataView(bytes.buffer).setUint32(8, 1, true)
    new DataView(bytes.buffer).setUint32(12, bytes.length - data - 16, true)
    bytes.set(header, 16)
    return bytes
  }
  const reference = '{"$":["f8",0,125000]}'
  const repeated = `{"kind":"partial","tree":[${Array.from({ length: 10_000 }, () => reference).join()}]}`
  t.match(failureOf(() => readPartialFit(version1(repeated, 1_000_000)))?.message, /said to be elsewhere/)
  t.doesNotThrow(() => readContainer('partial', version1(`{"kind":"partial","tree":[${reference}]}`, 1_000_000)))
  const refused: [string, string, RegExp][] = [
    ['deep lists', `{"kind":"partial","tree":${'['.repeat(1e5)}${']'.repeat(1e5)}}`, /nested deeper/],
    ['ten million lists', `{"kind":"partial","tree":[${'[],'.repeat(1e7)}[]]}`, /more values/],
    ['a name twice', '{"kind":"partial","kind":"partial","tree":null}', /name stands twice/],
    ['spaces', '{"kind":"partial", "tree":null}', /as it is written/],
    ['an array reference with more', '{"kind":"partial","tree":{"$":["f8",0,0,0]}}', /malformed array/],
    ['a negative length', '{"kind":"partial","tree":{"$":["f8",0,-1]}}', /malformed array/],
    ['a length beyond the file', '{"kind":"partial","tree":{"$":["f8",0,9007199254740991]}}', /does not fit/],
  ]
  for (const [name, json, message] of refused) {
    t.match(failureOf(() => readPartialFit(version1(json, 0)))?.message, message, name)
  }
})

t.test('57 a dictionary where a word is due', async t => {
  const error = failureOf(() => readPartialFit(fixture('attacks/kind-is-dict.partial')))
  t.ok(error instanceof UntrustedInputError)
  t.ok((error?.message.length ?? 999) < 300, String(error?.message))
})
