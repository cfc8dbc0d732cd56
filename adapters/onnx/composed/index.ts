/** @file All operators that are written in others when a file is read. */
import { attentionCompositions } from './attention.js'
import type { Composition } from './composition.js'
import { indexingCompositions } from './indexing.js'
import { layoutCompositions } from './layout.js'
import { lossCompositions } from './losses.js'
import { samplingCompositions } from './sampling.js'
import { signalCompositions } from './signals.js'
import { statisticsCompositions } from './statistics.js'

/** By operator. */
export const COMPOSED: ReadonlyMap<string, Composition> = new Map([...attentionCompositions, ...indexingCompositions,
  ...layoutCompositions, ...lossCompositions, ...samplingCompositions, ...signalCompositions,
  ...statisticsCompositions])
