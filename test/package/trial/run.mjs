// A whole use of the package; prints a line that must be the same everywhere.
import { readFile } from 'node:fs/promises'
import { laplace, readNetwork } from 'polylaplace'

async function main() {
  const { x, y, xNew } = JSON.parse(await readFile('data.json', 'utf8'))
  const network = await readNetwork(new Uint8Array(await readFile('model.onnx')))
  const posterior = await laplace(network, { likelihood: 'classification' }).fit(x, y)
  const { probabilities, novelty } = await posterior.predict(xNew)
  console.log(posterior.structure, probabilities.get(0, 0).toFixed(6), novelty.get(0).toFixed(3))
}

main()
