#!/usr/bin/env bash
# Tests against the libraries that write the files we read: torch, safetensors, onnx (about 1 GB to download). The last line says how many passed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

log=$(mktemp)
export log
trap 'rm -f "$log"' EXIT

# bench/peers/requirements.txt without the dependencies that it names, which would bring another torch.
stage 'Python: a virtual environment with torch (CPU), safetensors, onnx, scikit-learn' 20 '
  need_python
  python_environment .venv-peers -r test/peers/requirements.txt
  python_environment .venv-peers --no-deps -r bench/peers/requirements.txt'

stage 'Benchmarks beside the peers' 15 '
  npm run build
  .venv-peers/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps ./clients/python
  npm run bench -- --quick --environment .venv-peers --only W2/all/kron,W6/all/diag'

stage 'Peers' 40 '.venv-peers/bin/python -m pytest --quiet $pytest_limits test/peers | tee "$log"'

bash scripts/test-engines.sh
say "All tests against peers passed: $(grep --text -E '[0-9]+ passed' "$log" | tail -n 1)"
