/** @file Rows of reference cases as files of the command line. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { referenceCase } from '../../support/reference-case.js'

const CASES = fileURLToPath(new URL('../../fixtures/cases/', import.meta.url))

/** The classes of the case of irises. */
export const SPECIES = ['setosa', 'versicolor', 'virginica']

/** A file of a case. */
export const model = (name: string, file = 'model.onnx'): string => join(CASES, name, file)

/** Writes a case's rows as CSV; the answer is the last column, unless it is left out. */
export function writeCsv(file: string, name: string, part: 'train' | 'test',
  answer: ((value: number) => string) | undefined): string {
  const { x, y, xTest, yTest } = referenceCase(name)
  const [inputs, answers] = part === 'train' ? [x, y] : [xTest, yTest]
  const [n, width] = [inputs.shape[0], inputs.data.length / inputs.shape[0]]
  const header = [...Array.from({ length: width }, (_, i) => `x${i}`), ...(answer === undefined ? [] : ['answer'])]
    .join(',')
  const rows = Array.from({ length: n },
    (_, i) =>
      [...inputs.data.subarray(i * width, (i + 1) * width), ...(answer === undefined ? [] : [answer(answers.data[i])])]
        .join(','))
  writeFileSync(file, [header, ...rows, ''].join('\n'))
  return file
}
