/** @file What Flux models compute, beside their definitions on column-major arrays. */
import type { Test } from 'tap'
import { type FluxOptions, readFlux } from '../../../adapters/flux/index.js'
import { type Column, column, difference, run } from './column-major.js'
import { array, file, type Lowered, numbers } from './julia-writer.js'

/** Seeded numbers. */
export const random = numbers(7)
/** An array as a file has it. */
export const lowered = (x: Column, type = 'Float32'): Lowered => array(x.size, x.data, type)
/** A random array. */
export const some = (...size: number[]): Column => column(size, random(size.reduce((a, b) => a * b, 1)))
/** The largest error that is rounding. */
export const near = 2e-6

/** That a model gives what is expected of it. */
export function same(t: Test, model: Lowered, x: Column, expected: Column, message: string, options: FluxOptions = {},
  backrefs?: Lowered[]): void {
  const graph = readFlux(file({ model }, backrefs), options)
  const found = run(graph, x)
  t.equal(found.size.join(), expected.size.join(), `${message}: size`)
  const error = difference(found, expected)
  t.ok(error < near, `${message}: ${error}`)
}
