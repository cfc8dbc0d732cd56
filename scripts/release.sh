#!/usr/bin/env bash
# Builds and checks all packages as they would be published, from a clean clone of what is committed, and stops there: nothing is
# uploaded. The files lie in build/release afterwards, with the commands that publish them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

root=$PWD
out=$root/build/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say 'One version everywhere'
version=$(node -p "require('./package.json').version")
for found in "$(sed -n 's/^version = "\(.*\)"/\1/p' clients/python/pyproject.toml)" "$(sed -n 's/^Version: //p' clients/r/DESCRIPTION)"; do
  [ "$found" = "$version" ] || { echo "package.json has version $version, a client $found." >&2; exit 1; }
done
grep -q "^## $version\b" CHANGELOG.md || { echo "CHANGELOG.md has no section $version." >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || { echo 'There are changes that are not committed:' >&2; git status --short >&2; exit 1; }

say 'A clean clone, built'
git clone --quiet --no-local . "$work/clone"
cd "$work/clone"
npm ci --no-audit --no-fund > "$work/npm.log" 2>&1 || { cat "$work/npm.log" >&2; exit 1; }
rm -rf "$out"
mkdir -p "$out/npm" "$out/python" "$out/r"

say 'npm: bill of materials, package, publint, the types as TypeScript resolves them'
npm run --silent sbom > sbom.cdx.json
npm pack --silent --ignore-scripts --pack-destination "$out/npm" > /dev/null
npm install --silent --no-audit --no-fund --prefix "$work/checks" publint @arethetypeswrong/cli > /dev/null
"$work/checks/node_modules/.bin/publint" --strict "$out"/npm/polylaplace-*.tgz
# Types of ES modules alone, as the package is one: CommonJS has them by `import` types from Node 20.19 on.
"$work/checks/node_modules/.bin/attw" --profile esm-only "$out"/npm/polylaplace-*.tgz

say 'Python: sdist and wheel, twine, a clean environment'
bash scripts/try-wheel.sh "$out/python"

say 'R: R CMD build, R CMD check'
(cd "$out/r" && R CMD build "$work/clone/clients/r")
bash clients/r/tests/check.sh

say "Built and checked, nothing published: $(cd "$out" && ls */* | tr '\n' ' ')"
cat <<END
To publish, after reading the list above:
  npm publish $out/npm/polylaplace-$version.tgz
  twine upload $out/python/*
  R: send $out/r/polylaplace_$version.tar.gz to CRAN
END
