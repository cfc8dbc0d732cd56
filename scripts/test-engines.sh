#!/usr/bin/env bash
# Tests on the engines of polylaplace.distributed: Dask, Ray, Spark, DuckDB, polars (about 800 MB to download, and Java). The last line says how many passed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

log=$(mktemp)
export log
trap 'rm -f "$log"' EXIT

stage 'Python and Java: a virtual environment with dask, ray, pyspark, pyarrow, duckdb, polars' 20 '
  need_python
  need_debian_packages default-jre-headless:java
  python_environment .venv-engines -r test/engines/requirements.txt'

# Built by `npm ci` and by whatever calls this.
stage 'Building' 10 '
  [ -f clients/python/src/polylaplace/_node/polylaplace.mjs ] || npm run build
  .venv-engines/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps ./clients/python'

# Each engine in a process of its own, so that none inherits another one's threads.
for engine in batches dask ray spark guides; do
  export engine
  stage "Engines: $engine" 15 '
    .venv-engines/bin/python -m pytest --quiet $pytest_limits --tb=short -p no:logging "test/engines/test_$engine.py" | tee -a "$log"'
done
say "All tests on engines passed: $(grep --text -oE '[0-9]+ passed' "$log" | awk '{ sum += $1 } END { print sum }') passed"
