/**
 * @file `polylaplace serve`: the protocol of docs/protocol.md on stdin and stdout. It reads its options and ends the
 * process itself.
 */
import { serveCommand } from '../../protocol/main.js'
import { workerFile } from '../../protocol/worker/worker-file.js'
import { packageVersion } from '../files/package-files.js'

/** Serves until the client ends. */
export async function serve(argv: readonly string[]): Promise<void> {
  const version = await packageVersion()
  await serveCommand(argv, { version, hash: `npm-${version}`, workerFile })
}
