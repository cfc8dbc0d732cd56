"""The public surface, exceptions, doctor, the build."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import polylaplace
from conftest import REPOSITORY
from polylaplace import LaplaceError, ResourceError
from polylaplace._error_table import ERROR_TABLE
from polylaplace._exceptions import FAMILIES, error_from_wire
from polylaplace._runtime import compile_cache

PACKAGE = REPOSITORY / "clients" / "python"


def test_everything_in_all_is_there() -> None:
    for name in polylaplace.__all__:
        assert getattr(polylaplace, name) is not None
    assert set(dir(polylaplace)) >= set(polylaplace.__all__)


def test_names_that_older_pickles_hold_are_there() -> None:
    from polylaplace import _estimators, _laplace

    for name in ("Laplace", "LaplaceWarning", "Prediction"):
        assert getattr(_laplace, name) is getattr(polylaplace, name)
    for name in ("LaplaceClassifier", "LaplaceRegressor"):
        assert getattr(_estimators, name) is getattr(polylaplace, name)


def test_the_error_table_is_that_of_the_source() -> None:
    source = (REPOSITORY / "core" / "errors" / "errors.ts").read_text()
    for code, (number, family, meaning) in ERROR_TABLE.items():
        assert f"{code}: entry({number}, '{family}'" in source
        assert meaning.split("'")[0] in source
    assert source.count(": entry(") == len(ERROR_TABLE)


@pytest.mark.parametrize("code", ERROR_TABLE)
def test_every_code_has_its_class(code: str) -> None:
    error = error_from_wire({"name": code, "message": "A sentence.", "data": {"a": 1}})
    assert type(error) is FAMILIES[ERROR_TABLE[code][1]]
    assert (str(error), error.code, error.number, error.data) == ("A sentence.", code, ERROR_TABLE[code][0], {"a": 1})


def test_a_code_of_a_newer_server_is_the_root_class() -> None:
    assert type(error_from_wire({"name": "NEWER", "message": "x"})) is LaplaceError


def test_importing_loads_nothing_heavy() -> None:
    script = (
        "import sys, polylaplace; "
        "print([m for m in ('numpy', 'sklearn', 'torch', 'pandas', 'tqdm', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(Path(polylaplace.__file__).parents[1])!r}); {script}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_estimators_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    for module in ("_estimators", "_classifier", "_regressor", "_estimator_base", "_scikit_learn"):
        monkeypatch.delitem(sys.modules, f"polylaplace.{module}", raising=False)
    with pytest.raises(ResourceError, match="pip install scikit-learn"):
        _ = polylaplace.LaplaceClassifier


def test_everything_is_imported_without_scikit_learn() -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from polylaplace import *\n"
        "print(Laplace.__name__, load.__name__, 'LaplaceClassifier' in dir())\n"
    )
    source = str(PACKAGE / "src")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.stdout.split() == ["Laplace", "load", "False"]


def test_doctor_explains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = io.StringIO()
    assert polylaplace.doctor(file=out)
    assert "Everything that is needed is there." in out.getvalue()
    monkeypatch.setenv("POLYLAPLACE_NODE", str(tmp_path / "missing"))
    out = io.StringIO()
    assert not polylaplace.doctor(file=out)
    assert "[!!]" in out.getvalue()
    assert "pip install polylaplace[node]" in out.getvalue()


def test_versions_agree() -> None:
    import json

    version = json.loads((REPOSITORY / "package.json").read_text())["version"]
    assert polylaplace.__version__ == version
    assert f'version = "{version}"' in (PACKAGE / "pyproject.toml").read_text()


def test_a_build_without_the_javascript_stops_with_a_sentence(tmp_path: Path) -> None:
    copy = tmp_path / "python"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("_node", "__pycache__", ".*"))
    script = "from hatchling.build import build_wheel; build_wheel('.')"
    done = subprocess.run([sys.executable, "-c", script], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "npm run build" in done.stderr + done.stdout


def test_the_wheel_carries_the_javascript(tmp_path: Path) -> None:
    import zipfile

    script = f"from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=PACKAGE, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        names = set(wheel.namelist())
        size = sum(entry.file_size for entry in wheel.infolist())
    # The README says 8 MB.
    assert size < 8.5e6
    needed = {"_node/polylaplace.mjs", "_node/worker.mjs", "_node/cli.mjs", "_node/mozjpeg_dec.wasm", "py.typed"}
    assert {f"polylaplace/{name}" for name in needed} <= names


def test_the_command_line_is_in_the_package(tmp_path: Path) -> None:
    import json

    home = str(Path(polylaplace.__file__).parents[1])

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "polylaplace", *arguments],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": home, **environment}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    assert run("--version").stdout.strip() == polylaplace.__version__
    digits = json.loads((REPOSITORY / "demo" / "digits.json").read_text())
    network = REPOSITORY / "demo" / "digits.onnx"
    pixels = np.frombuffer(base64.b64decode(digits["pixels"]), np.uint8).reshape(-1, 64)[:200] / digits["scale"]
    rows = [",".join([*map(str, row), label]) for row, label in zip(pixels, digits["labels"], strict=False)]
    header = ",".join([*(f"p{i}" for i in range(64)), "label"])
    (tmp_path / "rows.csv").write_text("\n".join([header, *rows]))
    fit = run(
        "fit", str(network), "--data", "rows.csv", "--target", "label", "--likelihood", "classification",
        "--subset", "last_layer", "--out", "digits.posterior",
    )  # fmt: skip
    assert fit.returncode == 0, fit.stderr
    predicted = run("predict", "digits.posterior", "--data", "rows.csv", "--target", "label", "--format", "csv")
    lines = [line.split(",") for line in predicted.stdout.splitlines()]
    at = lines[0].index("probability_0")
    la = polylaplace.load(tmp_path / "digits.posterior")
    expected = la.predict(pixels).probabilities[:, 0]
    assert [float(line[at]) for line in lines[1:]] == pytest.approx(expected, rel=1e-9)
    # The decoder of JPEG is a file beside the program.
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        shutil.copy(REPOSITORY / "test" / "fixtures" / "images" / "subsampled.jpg", tmp_path / "images" / name)
    images = ("--data", "images", "--pixels", "0-1", "--likelihood", "classification", "--out", "none")
    assert "has 6 rows, 10 columns and 3" in run("fit", str(network), *images).stderr
    refused = run("--version", POLYLAPLACE_NODE="/nowhere/node")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "/nowhere/node" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_compiled_code_is_kept_in_the_cache_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NODE_COMPILE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert Path(compile_cache()).is_relative_to(tmp_path)
    monkeypatch.setenv("NODE_COMPILE_CACHE", "/elsewhere")
    assert compile_cache() == "/elsewhere"


def test_every_public_name_is_found_when_it_is_used() -> None:
    for name in polylaplace.__all__:
        assert getattr(polylaplace, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = polylaplace.Nothing
