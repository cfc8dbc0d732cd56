/**
 * @file Finds onnxruntime-node: beside this library, at POLYLAPLACE_ORT, or in npm's global folder, where users of
 * Python and R install it.
 */
import { dirname, join, resolve } from 'node:path'
import { demand } from '../../core/errors/demand.js'
import { requireOf } from './module-beside.js'

/** The package. @throws the error of the last folder that was tried */
export async function loadOnnxRuntime(): Promise<unknown> {
  const named = process.env['POLYLAPLACE_ORT']
  if (named !== undefined && named !== '') return requireFrom(named)
  try {
    return await import('onnxruntime-node') as unknown
  } catch {
    return requireFrom(globalPackage())
  }
}

/**
 * Whether there is one where `loadOnnxRuntime` looks, as far as can be told without loading it.
 * @throws OptionError BAD_OPTION for a POLYLAPLACE_ORT that names a folder without one
 */
export function hasOnnxRuntime(): boolean {
  const named = process.env['POLYLAPLACE_ORT']
  if (named !== undefined && named !== '') {
    demand(canBeFound(resolve(named)), 'POLYLAPLACE_ORT', 'the folder of the package onnxruntime-node, or not set',
      named)
    return true
  }
  return ['onnxruntime-node', globalPackage()].some(canBeFound)
}

function canBeFound(place: string): boolean {
  try {
    return requireOf(import.meta.url).resolve(place) !== ''
  } catch {
    return false
  }
}

function requireFrom(folder: string): unknown {
  return requireOf(import.meta.url)(resolve(folder)) as unknown
}

/** npm's global folder beside this node: PREFIX/lib/node_modules, on Windows PREFIX/node_modules. */
function globalPackage(): string {
  const bin = dirname(process.execPath)
  return process.platform === 'win32'
    ? join(bin, 'node_modules', 'onnxruntime-node')
    : join(bin, '..', 'lib', 'node_modules', 'onnxruntime-node')
}
