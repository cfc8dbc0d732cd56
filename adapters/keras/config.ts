/** @file Typed access to the fields of Keras' JSON. */
import { UntrustedInputError } from '../../core/errors/errors.js'

/** A JSON object whose fields are read by the functions below. */
export type Config = Readonly<Record<string, unknown>>

/** A refusal of a description. */
export function refuse(message: string, path?: string): UntrustedInputError {
  return new UntrustedInputError(message, { format: 'Keras', ...(path === undefined ? {} : { path }) })
}

/** Parses JSON that is an object. @throws UntrustedInputError */
export function parseConfig(text: string): Config {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse('The description of the network is not JSON.')
  }
  if (!isConfig(value)) throw refuse('The description of the network is not a JSON object.')
  return value
}

/** Whether a value is a JSON object. */
export function isConfig(value: unknown): value is Config {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A field, never one that every object has. */
export function field(config: Config, name: string): unknown {
  return Object.hasOwn(config, name) ? config[name] : undefined
}

/** A field that is text. */
export function text(config: Config, name: string): string | undefined {
  const value = field(config, name)
  return typeof value === 'string' ? value : undefined
}

/** A field that is a finite number. */
export function number(config: Config, name: string): number | undefined {
  const value = field(config, name)
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** A field that is true or false, with a default. */
export function flag(config: Config, name: string, otherwise: boolean): boolean {
  const value = field(config, name)
  return typeof value === 'boolean' ? value : otherwise
}

/** A field of `count` positive integers; one number stands for all. */
export function sizes(config: Config, name: string, count: number, otherwise?: number): number[] {
  const value = field(config, name) ?? otherwise
  const list = typeof value === 'number' ? Array<number>(count).fill(value) : value
  if (!Array.isArray(list) || list.length !== count ||
    !list.every(each => Number.isInteger(each) && each > 0 && each < 2 ** 31)) {
    throw refuse(
      `The field '${name}' of the layer '${text(config, 'name') ?? '?'}' must be ${count} positive integers.`,
      name,
    )
  }
  return list as number[]
}
