"""An exported posterior runs inside of SQL: DuckDB calls onnxruntime, and none of our code."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import onnxruntime
import polylaplace
import pyarrow as pa

CASES = Path(__file__).parents[1] / "fixtures" / "cases"


def test_an_export_as_a_function_of_sql(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 4))
    la = polylaplace.Laplace(str(CASES / "tabular-iris" / "model.onnx"), "classification")
    la.fit(rows, rng.integers(0, 3, 60))
    la.to_onnx(tmp_path / "model.onnx", outputs=["variance", "probabilities"])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    [name] = [value.name for value in session.get_inputs()]

    def surest(a: Any, b: Any, c: Any, d: Any) -> pa.Array:
        x = np.stack([column.to_numpy() for column in (a, b, c, d)], axis=1)
        return pa.array(session.run(["probabilities"], {name: x})[0].max(axis=1))

    rows_of_data = pa.table({column: rows[:, i] for i, column in enumerate("abcd")})  # noqa: F841
    database = duckdb.connect()
    database.create_function("surest", surest, ["DOUBLE"] * 4, "DOUBLE", type="arrow")
    found = database.sql("select surest(a, b, c, d) as p from rows_of_data").fetchnumpy()["p"]
    np.testing.assert_allclose(found, np.asarray(la(rows)).max(axis=1), rtol=1e-6)
