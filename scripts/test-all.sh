#!/usr/bin/env bash
# Sets up what the tests of all languages need, and runs them: TypeScript, Python, R. The last line says how many passed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

logs=$(mktemp -d)
export logs
trap 'rm -rf "$logs"' EXIT

stage 'Debian packages, and a virtual environment with numpy, msgpack, onnx, safetensors, scikit-learn, pandas, pytest, mypy, ruff' 15 '
  need_python
  need_debian_packages chromium:chromium zsh:zsh fish:fish r-base-core:R r-cran-nnet: r-cran-testthat: r-cran-cli: r-cran-future.apply: r-cran-generics: r-cran-ggplot2: r-cran-insight: r-cran-knitr: r-cran-rmarkdown: r-cran-processx: r-cran-caret: pandoc:pandoc
  python_environment .venv -r clients/python/requirements-test.txt'

stage 'Build' 15 'npm run build'

# All but TypeScript, one after another, beside it: nothing of it writes where another reads.
others() {
  apart 'Python' 40 '
    .venv/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps ./clients/python
    .venv/bin/python -m pytest --quiet clients/python/tests | tee "$logs/python"
    .venv/bin/python -m mypy --strict clients/python/src/polylaplace
    .venv/bin/python -m ruff check clients/python
    .venv/bin/python -m ruff format --check --line-length 120 --target-version py311 clients/python bench demo test'
  apart 'R' 40 'bash clients/r/tests/check.sh | tee "$logs/r"'
  apart 'Fuzzing' 10 'node scripts/fuzz.mjs --seconds 40'
  apart 'Benchmarks: small ones, to see that they run' 15 '
    npm run bench -- --quick --ours --only W1,W2,W3/all/kron,W8-1000
    npm run bench:usefulness -- --quick'
  apart 'Documentation: every page, its links, the references' 15 'bash scripts/site.sh "$logs/site"'
}
others &
beside=$!
trap 'kill $beside 2> /dev/null || true; rm -rf "$logs"' EXIT

# What fails is shown, not every assertion.
stage 'TypeScript' 40 '
  npm run typecheck
  npm run lint
  npm run test:typescript 2>&1 | tee "$logs/typescript" | grep --text -vE "^ *(✔|▶|﹣|$)"' || failed=1
wait $beside || failed=1
[ -z "${failed:-}" ] || { say 'Tests failed, as said above.'; exit 1; }

typescript=$(grep --text -oE 'pass [0-9]+$' "$logs/typescript" | tail -n 1)
python=$(grep --text -E '[0-9]+ passed' "$logs/python" | tail -n 1)
r=$(grep --text -oE '\[ *FAIL.*\]' "$logs/r" | tail -n 1)
say "All tests of all languages passed. TypeScript: $typescript; Python: $python; R: $r"
