/** @file The colours of pages and pictures: variables of a stylesheet, light and dark. */

/** As a stylesheet. */
export const COLOURS = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d9dee3; --network: #8a5a00;
  --temperature: #6b4fa0; --posterior: #0b63b5; --others: #c2410c; --warn: #fff4e0 }
@media (prefers-color-scheme: dark) { :root { --paper: #14181c; --ink: #e6e9ec; --soft: #9aa5b0; --line: #333b43;
  --network: #e0a33c; --temperature: #b79bea; --posterior: #62aef5; --others: #ff8f5a; --warn: #3a2e16 } }
`
