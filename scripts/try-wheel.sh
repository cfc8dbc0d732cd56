#!/usr/bin/env bash
# Builds the Python package (sdist, and the wheel from it), checks both, and uses the wheel in a clean virtual environment
# on a machine that has no Node.js: the extra `node` brings one. Needs `npm run build` before. The last line says what was tried.
#   scripts/try-wheel.sh [FOLDER-FOR-THE-FILES]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=${1:-$work/dist}
mkdir -p "$out"
out=$(cd "$out" && pwd)

need_python
say 'sdist and wheel'
python_environment "$work/tools" build hatchling twine
"$work/tools/bin/python" -m build --no-isolation --outdir "$out" clients/python > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
"$work/tools/bin/twine" check --strict "$out"/polylaplace-*
for file in "$out"/polylaplace-*.whl; do
  "$work/tools/bin/python" -m zipfile -l "$file" > "$work/names"
  for name in py.typed __init__.py _node/polylaplace.mjs _node/worker.mjs _node/cli.mjs; do
    grep -q "polylaplace/$name" "$work/names" || { echo "The wheel lacks $name." >&2; exit 1; }
  done
done

cd "$work"
# Nothing of this machine's but the system's own programs: no Node.js, no variables.
mkdir bin
for program in bash env uname cat; do ln -s "$(command -v $program)" bin/; done
clean() { env -i HOME="$work" PATH="$work/bin" LC_ALL=C.UTF-8 "$@"; }

say 'Without Node.js: what is missing is said'
python_environment "$work/plain" "$out"/polylaplace-*.whl
clean "$work/plain/bin/python" -c 'import polylaplace; polylaplace.doctor()' > "$work/doctor" 2>&1 || true
grep -qi 'polylaplace\[node\]' "$work/doctor" || { cat "$work/doctor" >&2; echo 'doctor() does not name the extra.' >&2; exit 1; }

say 'With the extra that brings a Node.js: a fit, predictions, a saved posterior'
python_environment "$work/plain" "polylaplace[node] @ file://$(ls "$out"/polylaplace-*.whl)"
clean "$work/plain/bin/python" "$root/test/package/trial/wheel.py" "$root/demo/digits.onnx" "$root/demo/digits.json"

say 'From the sdist, whose wheel is built on the way'
python_environment "$work/source" "polylaplace[node] @ file://$(ls "$out"/polylaplace-*.tar.gz)"
clean "$work/source/bin/python" "$root/test/package/trial/wheel.py" "$root/demo/digits.onnx" "$root/demo/digits.json"

say "The Python package works in a clean environment, from wheel and sdist: $(cd "$out" && echo polylaplace-*)"
