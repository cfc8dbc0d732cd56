/**
 * @file The options that say how to read a network and which part of it is meant, shared by the commands that read one.
 */
import { FORMATS } from '../../adapters/network/index.js'
import type { OptionTable } from './option-table.js'

/** How a network file is to be read. */
export const MODEL_OPTIONS: OptionTable = {
  architecture: { type: 'string', value: 'FILE',
    help: 'layers as JSON, for files that hold weights only (see docs/formats.md)' },
  activation: { type: 'string', value: 'NAME',
    help: 'the function between the layers of a plain chain, for files that hold weights only' },
  'input-size': { type: 'string', value: 'SHAPE',
    help: 'shape of one example, such as 1x28x28, where the file does not tell' },
  dimensions: { type: 'string', value: 'LENGTHS',
    help: 'of axes that an ONNX file leaves open, such as time=8,side=11' },
  format: { type: 'string', value: 'NAME', help: `${FORMATS.join(' | ')}; told from the content by default` },
  model: { type: 'string', value: 'PATH', help: 'which network, when the file holds several' },
  parameters: { type: 'string', value: 'TENSORS',
    help: 'tensors that are parameters: names, globs, indices, separated by commas; by default those of the network' },
  freeze: { type: 'string', value: 'TENSORS', help: 'parameters that take no part in the posterior' },
  'external-data': { type: 'string', value: 'FOLDER',
    help: 'where the further files lie that the model names (weights of ONNX files, parts); beside it by default' },
  files: { type: 'string', value: 'FILES', help: 'these further files, separated by commas' },
}

/** Which part of a network is meant. */
export const CHOICE_OPTIONS: OptionTable = {
  input: { type: 'string', value: 'NAME', help: 'which input to use, when the network has several' },
  output: { type: 'string', value: 'NAME', help: 'which output to use, when the network has several' },
}
