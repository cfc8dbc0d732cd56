"""Runs an all/diag cell with laplax (JAX); fit and prediction are compiled, and the first run includes compiling them.

    python bench/peers/laplax_diagonal.py FOLDER/W6 all/diag [--quick]

The lines it writes are those of bench/measure.py. laplax has no tuning by the marginal likelihood of this form; its
tune time is 0.
"""

from __future__ import annotations

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from measure import COMPARED, measure, peak_mb, read_cell, say  # noqa: E402


def main() -> None:
    """Imports, loads, measures."""
    import jax
    import jax.numpy as jnp
    from laplax.api import laplace
    from laplax.eval.pushforward import lin_pred_mean, lin_pred_var, lin_setup, set_lin_pushforward
    from loguru import logger
    from safetensors.numpy import load_file

    logger.disable("laplax")
    say("ready", import_mb=peak_mb())
    cell = read_cell()
    spec = cell.spec
    if cell.structure != "diag" or cell.subset != "all" or spec["likelihood"] != "classification":
        raise SystemExit("laplax is measured on all/diag cells of classification only.")
    tensors = {name: jnp.asarray(value) for name, value in load_file(f"{cell.path}.safetensors").items()}
    x, y, x_test = (tensors.pop(name) for name in ("x", "y", "x_test"))
    x, y, x_test = x[: cell.n], y[: cell.n], x_test[: cell.test]
    depth = len(spec["sizes"]) - 1
    params = [{"weight": tensors[f"{2 * i}.weight"], "bias": tensors[f"{2 * i}.bias"]} for i in range(depth)]
    activation = {"tanh": jnp.tanh, "relu": jax.nn.relu}[spec["activation"]]

    def model(input: jax.Array, params: list) -> jax.Array:
        for i, layer in enumerate(params):
            input = layer["weight"] @ input + layer["bias"]
            input = activation(input) if i < depth - 1 else input
        return input

    @jax.jit
    def probit(posterior_inputs: jax.Array, curvature: jax.Array) -> jax.Array:
        from laplax.curv.cov import set_posterior_fn

        posterior = set_posterior_fn("diagonal", curvature, layout=params)
        predictive = set_lin_pushforward(
            model, params, posterior, {"prior_prec": 1.0}, pushforward_fns=[lin_setup, lin_pred_mean, lin_pred_var]
        )
        results = jax.vmap(predictive)(posterior_inputs)
        return jax.nn.softmax(results["pred_mean"] / jnp.sqrt(1 + jnp.pi / 8 * results["pred_var"]), axis=-1)

    def once() -> dict:
        t0 = time.perf_counter()
        _, curvature = laplace(model, params, (x, y), loss_fn="cross_entropy", curv_type="diagonal", curv_mv_jit=True)
        jax.block_until_ready(curvature)
        t1 = time.perf_counter()
        probabilities = jax.block_until_ready(probit(x_test, curvature))
        t2 = time.perf_counter()
        return {
            "fit": t1 - t0,
            "tune": 0.0,
            "predict": t2 - t1,
            "results": {"probabilities": probabilities.reshape(-1)[:COMPARED].tolist()},
        }

    measure(cell, once)


if __name__ == "__main__":
    main()
