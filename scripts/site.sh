#!/usr/bin/env bash
# Builds the documentation site (build/site, or the folder given): installs what it needs, like the tests. After `npm run build`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

need_python
need_debian_packages r-base-core:R
python_environment .venv-site pdoc 'numpy>=1.26' 'msgpack>=1.0.5' 'scikit-learn>=1.6'
node scripts/build-site.mjs "$@"
