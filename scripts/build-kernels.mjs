// Compiles the WebAssembly kernels and embeds their bytes as a TypeScript module.
