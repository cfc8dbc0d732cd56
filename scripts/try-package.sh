#!/usr/bin/env bash
# Packs the npm package and uses it as people do: ES modules, CommonJS, strict TypeScript, bundles of esbuild, webpack and
# vite in both formats, newer Node versions, Bun and Deno (npm has them all). The last line says what was tried.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

root=$PWD
arch=$(node -p process.arch)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --ignore-scripts --pack-destination "$work" > /dev/null
cd "$work"
cp "$root"/test/package/trial/* .
cp "$root/demo/digits.onnx" model.onnx
node "$root/test/package/trial/data.mjs" "$root/demo/digits.json" > data.json
npm install --silent --no-audit --no-fund --ignore-scripts "$work"/polylaplace-*.tgz typescript@5.9.3 @types/node@20 esbuild@0.28.2 webpack webpack-cli vite publint "@oven/bun-linux-$arch" "@deno/linux-$arch-glibc" > /dev/null
# Apart: beside the others their `node` would be the one that runs the tools.
for version in 22 24; do npm install --silent --no-audit --no-fund --prefix "node-$version" "node-linux-$arch@$version" > /dev/null; done

say 'publint'
npx publint --strict "$work"/polylaplace-*.tgz

expected=$(node run.mjs)
tried='ES module'
same() {
  local what=$1 found; shift
  found=$("$@") || { echo "$what failed: $found" >&2; exit 1; }
  [ "$found" = "$expected" ] || { printf '%s printed\n%s\nexpected\n%s\n' "$what" "$found" "$expected" >&2; exit 1; }
  tried="$tried, $what"
}

say 'CommonJS and strict TypeScript'
same CommonJS node run.cjs
npx tsc --noEmit --strict --exactOptionalPropertyTypes --skipLibCheck false --module nodenext --target es2022 run.mts
for version in 22 24; do
  same "Node $version" "node-$version/node_modules/node-linux-$arch/bin/node" run.mjs
done

say 'Bundles, which leave the optional packages out'
optional=(onnxruntime-node h5wasm vega vega-lite vega-interpreter)
for format in esm cjs; do
  extension=$([ $format = esm ] && echo mjs || echo cjs)
  npx esbuild run.mjs --bundle --platform=node --format=$format "${optional[@]/#/--external:}" --log-level=error "--outfile=esbuild/run.$extension"
  same "esbuild $format" node "esbuild/run.$extension"
  FORMAT=$format npx webpack --config webpack.config.mjs > webpack.log || { cat webpack.log >&2; exit 1; }
  same "webpack $format" node "webpack-$format/run.$extension"
  FORMAT=$format npx vite build --config vite.config.mjs --logLevel error
  same "vite $format" node "vite-$format/run.$extension"
done

say 'Bun and Deno'
same Bun "node_modules/@oven/bun-linux-$arch/bin/bun" run.mjs
same Deno "node_modules/@deno/linux-$arch-glibc/deno" run --allow-all --quiet run.mjs

say "The package works as: $tried"
