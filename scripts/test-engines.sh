#!/usr/bin/env bash
# Tests on the engines of polylaplace.distributed: Dask, Ray, Spark, DuckDB, polars (about 800 MB to download, and Java). The last line says how many passed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT

need_python
need_debian_packages default-jre-headless:java
say 'Python: a virtual environment with dask, ray, pyspark, pyarrow, duckdb, polars'
python_environment .venv-engines -r test/engines/requirements.txt

say 'Engines'
# Built by `npm ci` and by whatever calls this.
[ -f clients/python/src/polylaplace/_node/polylaplace.mjs ] || npm run build
.venv-engines/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps ./clients/python
# Each engine in a process of its own, so that none inherits another one's threads.
for engine in batches dask ray spark guides; do
  .venv-engines/bin/python -m pytest --quiet --tb=short -p no:logging "test/engines/test_$engine.py" | tee -a "$log"
done
say "All tests on engines passed: $(grep --text -oE '[0-9]+ passed' "$log" | awk '{ sum += $1 } END { print sum }') passed"
