/** @file Writes an exported posterior, and what belongs beside it, to files. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { type BesideOptions, modelFiles, type OnnxExportOptions } from '../../adapters/onnx/index.js'
import { demand } from '../../core/errors/demand.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { writeWhole } from './write-file.js'

/**
 * Writes the model to `target`, and the files beside it.
 * @returns the paths, the model's first
 * @throws OptionError, GraphError; ResourceError NOT_WRITTEN
 */
export async function writeModel(posterior: LaplacePosterior, target: string, options: OnnxExportOptions,
  beside: BesideOptions): Promise<string[]> {
  demand(typeof target === 'string', 'path', 'the path of a file', target)
  const { dir, name, ext } = path.parse(target)
  const stem = ext.toLowerCase() === '.onnx' ? name : path.basename(target)
  const written: string[] = []
  for (const [file, content] of modelFiles(posterior, options, { ...beside, stem })) {
    const to = file === `${stem}.onnx` ? target : path.join(dir, file)
    if (path.dirname(file) !== '.') await mkdir(path.dirname(to), { recursive: true })
    await writeWhole(to, content)
    written.push(to)
  }
  return written
}
