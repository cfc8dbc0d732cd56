#!/usr/bin/env bash
# Sets up what the tests of all languages need, and runs them: TypeScript, Python, R.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

need_debian_packages python3-venv:python3 r-base-core:R r-cran-nnet: r-cran-testthat: r-cran-cli: r-cran-generics: r-cran-ggplot2: r-cran-knitr: r-cran-rmarkdown: pandoc:pandoc
say 'Python: a virtual environment with numpy, msgpack, onnx, safetensors, scikit-learn, pandas, pytest, mypy, ruff'
python_environment .venv -r clients/python/requirements-test.txt

say 'TypeScript'
npm run build
npm test

say 'Python'
.venv/bin/pip install --quiet --force-reinstall --no-deps ./clients/python
.venv/bin/python -m pytest --quiet clients/python/tests
.venv/bin/python -m mypy --strict clients/python/src/polylaplace
.venv/bin/python -m ruff check clients/python

say 'R'
bash clients/r/tests/check.sh

say 'All tests of all languages passed.'
