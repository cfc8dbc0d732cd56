"""What a fit will take, before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest

import faults
from polylaplace import Client, Forecast, Laplace, OptionError, ResourceError


@pytest.fixture(scope="module")
def client():
    with Client() as client:
        yield client


def prepared(client: Client, **options):
    parts = faults.network()
    return Laplace(parts["tensors"], "classification", architecture=parts["layers"], client=client, **options)


def test_a_forecast_says_bytes_and_seconds_of_every_stage(client: Client) -> None:
    la = prepared(client)
    told = la.forecast(200, predict=50, samples=10)
    assert isinstance(told, Forecast)
    assert [row.stage for row in told.stages] == ["fit", "predict", "sample", "save"]
    assert told.bytes == max(row.bytes for row in told.stages) > 2**20
    assert told.seconds == pytest.approx(sum(row.seconds for row in told.stages))
    assert "fit" in str(told)
    assert la.forecast(np.zeros((200, 4)), predict=50, samples=10) == told
    many = prepared(client, subset_of_weights="all", hessian_structure="kron")
    assert many.forecast(10**6).seconds > 3 * many.forecast(10**5).seconds
    x, y = faults.data()
    la.fit(x, y)
    assert la.forecast(200, predict=50, samples=10).bytes == told.bytes


@pytest.mark.parametrize("rows", [0, -1, 1.5, True, "many", None])
def test_counts_that_are_none_are_refused(client: Client, rows: object) -> None:
    with pytest.raises(OptionError, match="rows must be a whole number above 0"):
        prepared(client).forecast(rows)
    with pytest.raises(TypeError, match="rowz"):
        prepared(client).forecast(10, rowz=3)
    with pytest.raises(OptionError, match="no option 'predicts'"):
        client.call(
            "forecast",
            {"network": faults.network(), "options": {"likelihood": "classification"}, "rows": 1, "predicts": 1},
        )


def test_what_is_beyond_the_memory_limit_is_refused_before_it_is_computed(client: Client) -> None:
    with pytest.raises(ResourceError):
        prepared(client, subset_of_weights="all", hessian_structure="full", memory_limit=1000).forecast(10)
