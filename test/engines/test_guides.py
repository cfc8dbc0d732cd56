"""The scripts of docs/distributed.md run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "distributed.md"
SCRIPTS = dict(re.findall(r"### (\w+)\n.*?```python\n(.*?)```", GUIDE.read_text(), re.DOTALL))


@pytest.mark.parametrize("engine", ["Arrow", "Dask", "Ray", "Spark"])
def test_the_script_runs(engine: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPTS[engine])
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "PYSPARK_PYTHON": sys.executable,
    }
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=580
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mean" in done.stdout
