#!/usr/bin/env bash
# Tests against the libraries that write the files we read: torch, safetensors, onnx (about 1 GB to download).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

need_debian_packages python3-venv:python3
say 'Python: a virtual environment with torch (CPU), safetensors, onnx, scikit-learn'
python_environment .venv-peers -r test/peers/requirements.txt

say 'Peers'
npm run build
.venv-peers/bin/pip install --quiet --force-reinstall --no-deps ./clients/python
.venv-peers/bin/python -m pytest --quiet test/peers
