/** @file Small grey pictures in characters. */

/** From paper to ink. */
const SHADES = ' .:-=+*#%@'

/**
 * Lines of a picture, two characters a pixel so that pixels are about square.
 * @param pixels height x width values between 0 (paper) and 1 (ink); values outside are clipped
 */
export function picture(pixels: ArrayLike<number>, height: number, width: number): string[] {
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => {
      const ink = Math.min(1, Math.max(0, pixels[row * width + column]))
      return SHADES[Math.round(ink * (SHADES.length - 1))].repeat(2)
    }).join(''))
}

/** Blocks of lines beside each other, with `gap` spaces between them. */
export function beside(blocks: readonly (readonly string[])[], gap = 3): string[] {
  const widths = blocks.map(block => Math.max(...block.map(line => line.length)))
  const height = Math.max(...blocks.map(block => block.length))
  return Array.from({ length: height },
    (_, row) => blocks.map((block, i) => (block[row] ?? '').padEnd(widths[i])).join(' '.repeat(gap)).trimEnd())
}
