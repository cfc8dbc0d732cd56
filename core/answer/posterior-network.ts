/** @file The network with the parameters that a posterior is over. */
import type { PosteriorCurvature } from '../curvature/curvature.js'
import { linearNetwork } from '../network/linear-network.js'
import type { Network } from '../network/network.js'

/** The network as the curvature's parameters are; those of a linear model leave scales and shifts out. */
export function posteriorNetwork(network: Network, { structure }: PosteriorCurvature): Network {
  return structure === 'lowrank' ? linearNetwork(network) : network
}
