/** @file The public names of `polylaplace/adapters/pickle`. */
export { PICKLE_LIMITS, type PickleLimits } from './limits.js'
export type { Constructor } from './machine.js'
export { type PickleOptions, type ReadPickle, readPickle } from './read-pickle.js'
export { refusePickle } from './refusal.js'
export { ForeignValue, PickleDict, PickleFloat, PickleGlobal, PickleList, PickleRecord, PickleSet, PickleTuple,
  type PickleValue } from './values.js'
