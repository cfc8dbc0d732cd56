/** @file The program of a worker that reads one HDF5 file for the page. */
import { answerInThread, type FromHdf5Thread } from '../../adapters/hdf5/thread.js'

const scope = globalThis as unknown as {
  postMessage: (message: FromHdf5Thread, transfer: ArrayBuffer[]) => void
  onmessage: ((event: { readonly data: Uint8Array }) => void) | null
}

scope.onmessage = ({ data }) => {
  void answerInThread(data, (message, transfer) => scope.postMessage(message, transfer))
}
