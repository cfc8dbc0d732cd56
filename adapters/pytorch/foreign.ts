/** @file Files that are not PyTorch's, recognised by content, so that the error can say what they are. */
import { isHdf5 } from '../hdf5.js'
import { SAVE_A_STATE_DICT } from './refusal.js'

/** What the bytes are when they are something else, as a sentence with the way out; undefined when that cannot be told. */
export function foreignFormat(bytes: Uint8Array): string | undefined {
  const starts = (...signature: number[]): boolean => signature.every((byte, i) => bytes[i] === byte)
  const text = (from: number, length: number): string => String.fromCharCode(...bytes.subarray(from, from + length))
  if (bytes.length === 0) return 'The file is empty'
  if (starts(0x1F, 0x8B)) return 'The file is gzip, as torch for R saves models (torch_save): in R, save the weights with safetensors::safe_save_file(lapply(model$state_dict(), function(w) w$cpu()), "model.safetensors"); anything else must be unpacked first'
  if (starts(0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C)) return 'The file is a 7z archive: unpack it first'
  if (starts(0x52, 0x61, 0x72, 0x21)) return 'The file is a rar archive: unpack it first'
  if (starts(0x42, 0x5A, 0x68) || starts(0xFD, 0x37, 0x7A, 0x58, 0x5A) || starts(0x28, 0xB5, 0x2F, 0xFD)) return 'The file is compressed (bzip2, xz or zstd): unpack it first'
  if (text(257, 5) === 'ustar') return `The file is a tar archive, as PyTorch 0.1 wrote them: load it in Python and ${SAVE_A_STATE_DICT}; any other must be unpacked first`
  if (starts(0x93) && text(1, 5) === 'NUMPY') return 'The file is a NumPy array (.npy), not a network'
  if (isHdf5(bytes)) return 'The file is HDF5: read Keras networks with readKeras, Julia\'s JLD2 with readFlux'
  if (bytes.length >= 9 && bytes[8] === 0x7B && bytes[6] === 0 && bytes[7] === 0) return 'The file is safetensors, whatever its name says: read it with readSafetensorsTensors'
  if (text(0, 40).startsWith('version https://git-lfs')) return 'The file is a pointer of Git LFS, not the model: fetch the model with git lfs pull'
  if (/^\s*<(!doctype|html)/i.test(text(0, 200))) return 'The file is a web page: the download went wrong'
  if (text(4, 4) === 'TFL3') return 'The file is a TensorFlow Lite model: convert it to ONNX'
  return undefined
}
