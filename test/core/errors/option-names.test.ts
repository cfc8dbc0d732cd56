/** @file Every option that a message names exists in the language that prints it: all messages of the sources. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { readNetwork } from '../../../adapters/network/index.js'
import { ONNX_EXPORT_OPTIONS } from '../../../adapters/onnx/index.js'
import { LAPLACE_OPTIONS } from '../../../cli/arguments/laplace-options.js'
import { CHOICE_OPTIONS, MODEL_OPTIONS } from '../../../cli/arguments/network-options.js'
import { conformalize } from '../../../cli/commands/conformalize.js'
import { exportCommand } from '../../../cli/commands/export.js'
import { fit } from '../../../cli/commands/fit.js'
import { predict } from '../../../cli/commands/predict.js'
import { CONFORMAL_OPTIONS, PREDICT_OPTIONS, TUNE_OPTIONS } from '../../../core/answer/posterior-options.js'
import type { LaplaceError } from '../../../core/errors/errors.js'
import { inLanguage, OPTION_NAMES } from '../../../core/errors/option-names.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import { resolveOptions } from '../../../core/options/resolved-options.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))

function filesIn(folder: string, ending: RegExp): string[] {
  return readdirSync(root + folder, { recursive: true, encoding: 'utf8' }).filter(file =>
    ending.test(file) && !/generated|assembly|fixtures|_node/.test(file)
  ).map(file => readFileSync(`${root}${folder}/${file}`, 'utf8'))
}

/** The texts of several words in the sources; what is put into them is left out. */
function messages(): string[] {
  const found: string[] = []
  for (const text of ['core', 'adapters', 'node', 'protocol'].flatMap(folder => filesIn(folder, /\.ts$/))) {
    const visit = (node: ts.Node): void => {
      if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) found.push(node.text)
      if (ts.isTemplateExpression(node)) {
        found.push([node.head.text, ...node.templateSpans.map(span => span.literal.text)].join('<>'))
      }
      ts.forEachChild(node, visit)
    }
    visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true))
  }
  // Markup is no message.
  return found.filter(text => text.includes(' ') && !text.startsWith('<'))
}

/** Words that follow "option" and name none. */
const PLAIN = new Set(['are', 'has', 'name', 'nothing', 'of', 'say', 'says', 'set', 'that', 'were', 'as', 'and',
  'with'])

/** Functions that a message names to programs that call them. */
const FUNCTIONS = new Set(['fitBegin', 'fitBatch', 'fitEnd', 'fitPartial', 'leaveOneOut', 'posteriorVariance',
  'readFlux', 'readKeras', 'readNetwork', 'readSafetensorsTensors'])

/** Options of functions that only programs for Node call. */
const NODE_ALONE = new Set(['inflate', 'onProgress', 'signal'])

const texts = messages()

t.test('every option that a message names is in the table', t => {
  const named = new Set<string>()
  for (const text of texts) {
    for (const [, name] of text.matchAll(/\b[Oo]ptions? '?([a-z][A-Za-z]*)/g)) if (!PLAIN.has(name)) named.add(name)
    for (const [name] of text.matchAll(/\b[a-z]+[A-Z][A-Za-z]*\b/g)) if (!FUNCTIONS.has(name)) named.add(name)
  }
  t.ok(named.size > 20)
  t.same([...named].filter(name => !Object.hasOwn(OPTION_NAMES, name)), [])
  t.same([...named].filter(name => {
    const { python, r, cli } = OPTION_NAMES[name] ?? {}
    return python === undefined && !NODE_ALONE.has(name) || (r === undefined || cli === undefined)
        && !NODE_ALONE.has(name) && !['fitMerged', 'quantiles'].includes(name)
  }), [])
  t.end()
})

function allowed(use: () => unknown): string[] {
  try {
    use()
  } catch (error) {
    return (error as LaplaceError).data['allowed'] as string[]
  }
  return []
}

t.test('in Node the names are those of options', async t => {
  const unknown = { likelihood: 'binary', nonsense: 1 } as unknown as LaplaceOptions
  const hints = await readNetwork(new Uint8Array(9), { nonsense: 1 } as object).catch((error: unknown) =>
    (error as LaplaceError).data['allowed'] as string[]
  ) as string[]
  const known = new Set<string>([...allowed(() => resolveOptions(unknown)), ...hints, ...PREDICT_OPTIONS,
    ...CONFORMAL_OPTIONS, ...TUNE_OPTIONS, 'externalData', 'network', 'fitMerged', 'sampleWeight', 'signal',
    'onProgress', ...ONNX_EXPORT_OPTIONS])
  t.same(Object.keys(OPTION_NAMES).filter(name => !known.has(name)), [])
})

t.test('on the command line they are flags', t => {
  const known = new Set(
    Object.keys({ ...LAPLACE_OPTIONS, ...MODEL_OPTIONS, ...CHOICE_OPTIONS, ...fit.options, ...predict.options,
      ...conformalize.options, ...exportCommand.options }).map(name => `--${name}`),
  )
  t.same(Object.values(OPTION_NAMES).flatMap(({ cli }) => cli ?? []).filter(name => !known.has(name)), [])
  t.end()
})

t.test('in Python and R they are arguments', t => {
  const python = filesIn('clients/python/src/polylaplace', /\.py$/).join('\n')
  const inPython = (name: string): boolean => new RegExp(`[(,\\s]${name}: |def ${name}\\(`).test(python)
  t.same(Object.values(OPTION_NAMES).flatMap(({ python: name }) => name ?? []).filter(name => !inPython(name)), [])
  const r = filesIn('clients/r/R', /\.R$/).join('\n')
  const inR = (name: string): boolean => new RegExp(`[(,\\s]${name}( = |,|\\))`).test(r)
  t.same(Object.values(OPTION_NAMES).flatMap(({ r: name }) => name ?? []).filter(name => !inR(name)), [])
  t.end()
})

t.test('messages in every language', t => {
  const message = "Choose one with the option model, or give inputSize, for example [1, 28, 28]; use subset 'all'."
  t.equal(inLanguage(message, 'node'), message)
  t.equal(inLanguage(message, 'python'),
    "Choose one with the option model_name, or give input_size, for example [1, 28, 28]; use subset_of_weights 'all'.")
  t.equal(inLanguage(message, 'r'),
    "Choose one with the option model_name, or give input_size, for example c(1, 28, 28); use subset 'all'.")
  t.equal(inLanguage(message, 'cli'),
    "Choose one with the option --model, or give --input-size, for example 1x28x28; use --subset 'all'.")
  t.end()
})
