#!/usr/bin/env bash
# Makes the Python environment of the benchmarks: torch on the CPU, laplace-torch without the dependencies that it does not need here, laplax.
#
#   bash bench/setup.sh [FOLDER]     FOLDER is .venv-bench by default; an existing one is completed
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

folder=${1:-.venv-bench}
say "Python: $folder with torch (CPU), laplace-torch 0.3, laplax (1.9 GB)"
python_environment "$folder" torch==2.13.0 numpy scipy safetensors msgpack onnx
# With the dependencies that it names laplace-torch is three times as large, and slower to import.
python_environment "$folder" --no-deps --requirement bench/peers/requirements.txt
python_environment "$folder" laplax==0.0.2 jax || say 'laplax cannot be installed here; its cells will stay empty'
