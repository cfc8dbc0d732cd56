/** @file Files that no reader takes, told by content, so that errors can say what they are and what to do. */
import { beginning, beginsWith } from './beginning.js'

/** What a file is instead, with the way out. */
export interface Foreign {
  readonly name: string
  readonly advice: string
}

/** The way out that is always there. */
export const TO_ONNX = 'export the network to ONNX, or save its weights as safetensors'

const UNPACK = 'unpack it first'

/** Files that begin with certain bytes, at an offset. */
const SIGNATURES:
  readonly (readonly [name: string, offset: number, signature: readonly number[] | string, advice: string])[] = [
    ['an ONNX Runtime file (ORT)', 4, 'ORTM', 'give the .onnx file that it was made from'],
    ['a TensorFlow Lite model', 4, 'TFL3', 'convert it to ONNX (tf2onnx)'],
    ['a GGUF file', 0, 'GGUF', 'such files hold quantised language models; give the safetensors files of the original'],
    ['a NumPy array (.npy)', 0, [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59],
      'an array is no network; save all weights by name as safetensors'],
    ['gzip', 0, [0x1f, 0x8b], 'unpack it first; if torch for R wrote it (torch_save), ' +
      'save the weights with safetensors::safe_save_file(lapply(model$state_dict(), function(w) w$cpu()), ' +
      "file), and an nnet object is given to R's laplace() itself"],
    ['bzip2', 0, 'BZh', UNPACK],
    ['an xz archive', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a], UNPACK],
    ['a zstd archive', 0, [0x28, 0xb5, 0x2f, 0xfd], UNPACK],
    ['a 7z archive', 0, [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], UNPACK],
    ['a rar archive', 0, 'Rar!', UNPACK],
    ['a tar archive', 257, 'ustar',
      'unpack it first; if PyTorch 0.1 wrote it, load it in Python and save model.state_dict() as safetensors'],
    ['an R object (.rds)', 0, 'X\n\0\0\0',
      "give an nnet object to R's laplace() itself; of torch for R save the weights with safetensors::safe_save_file"],
    ['an R workspace (.RData)', 0, 'RDX', "load it in R and give the object to R's laplace()"],
    ["a stream of Julia's Serialization", 0, '7JL',
      'it can be read by the same version of Julia only: save the network with BSON.@save or JLD2'],
    ['a MATLAB file (.mat)', 0, 'MATLAB 5.0', TO_ONNX],
    ['a picture', 0, [0x89, 0x50, 0x4e, 0x47], 'give the network'],
    ['a picture', 0, [0xff, 0xd8, 0xff], 'give the network'],
    ['a PDF document', 0, '%PDF', 'give the network'],
  ]

/** Texts, by what they begin with. */
const TEXTS: readonly (readonly [name: string, pattern: RegExp, advice: string])[] = [
  ['a pointer of Git LFS', /^version https:\/\/git-lfs/, 'the model itself is not here: fetch it with git lfs pull'],
  ['a web page', /^\s*<(!doctype|html|head|body)/i, 'the download went wrong: a page came instead of the file'],
  ['XML', /^\s*<\?xml/, TO_ONNX],
  ['ONNX as text', /^\s*(ir_version|producer_name|opset_import|graph\s*\{|domain\s*:|<\s*ir_version)/,
    'convert it to the binary form with onnx.save'],
  ['an architecture', /^\s*\[\s*\{[^}]*"type"\s*:/, 'give the file of the weights, and this one as architecture'],
  ['the description of a Keras network', /^\s*\{[^]*"class_name"\s*:/,
    'it holds no weights: save the network itself (model.save("model.keras"))'],
  ['JSON', /^\s*[[{]\s*["{[\]}0-9]/, 'give the network, or send its weights by name'],
]

/** The foreign format whose signature the bytes begin with. */
export function foreignSignature(bytes: Uint8Array): Foreign | undefined {
  const found = SIGNATURES.find(([, offset, signature]) => beginsWith(bytes, offset, signature))
  return found && { name: found[0], advice: found[3] }
}

/** The foreign format that begins with this text. */
export function foreignText(bytes: Uint8Array): Foreign | undefined {
  const text = beginning(bytes)
  const found = TEXTS.find(([, pattern]) => pattern.test(text))
  return found && { name: found[0], advice: found[2] }
}
