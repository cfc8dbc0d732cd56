// The same by require.
const { readFileSync } = require('node:fs')
const { laplace, readNetwork } = require('polylaplace')

async function main() {
  const { x, y, xNew } = JSON.parse(readFileSync('data.json', 'utf8'))
  const network = await readNetwork(new Uint8Array(readFileSync('model.onnx')))
  const posterior = await laplace(network, { likelihood: 'classification' }).fit(x, y)
  const { probabilities, novelty } = await posterior.predict(xNew)
  console.log(posterior.structure, probabilities.get(0, 0).toFixed(6), novelty.get(0).toFixed(3))
}
main()
