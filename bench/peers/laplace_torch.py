"""Runs one cell of a workload with laplace-torch.

    python bench/peers/laplace_torch.py FOLDER/W2 all/kron [--reduced] [--quick]

The data lie in memory as a TensorDataset, the usual way; the lines it writes are those of bench/measure.py.
"""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from measure import COMPARED, clock, measure, peak_mb, read_cell, say  # noqa: E402


def main() -> None:
    """Imports, loads, measures."""
    import torch
    from laplace import Laplace
    from safetensors.torch import load_file
    from networks import network as module
    from workloads import network

    say("ready", import_mb=peak_mb())
    cell = read_cell()
    spec = cell.spec
    tensors = load_file(f"{cell.path}.safetensors")
    x, y, x_test = (tensors.pop(name) for name in ("x", "y", "x_test"))
    x, y, x_test = x[: cell.n], y[: cell.n], x_test[: cell.test]
    net = module(spec["network"]) if "network" in spec else network(spec["sizes"], spec["activation"])
    net.load_state_dict(tensors)
    if isinstance(net, torch.nn.Sequential) and len(net) == 1:
        # The search for the last layer refuses a network that is one.
        net = torch.nn.Sequential(torch.nn.Identity(), *net)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=spec["batch"])

    def once() -> dict:
        t0 = clock()
        la = Laplace(net, spec["likelihood"], subset_of_weights=cell.subset, hessian_structure=cell.structure)
        la.fit(loader)
        t1 = clock()
        la.optimize_prior_precision(
            method="marglik", pred_type="glm", prior_structure=spec.get("prior_structure", "scalar")
        )
        t2 = clock()
        tuned = float(la.log_marginal_likelihood())
        # The compared numbers use a fixed prior, so that they do not depend on how far tuning went.
        la.prior_precision = 1.0
        t3 = clock()
        if spec["likelihood"] == "regression":
            mean, variance = la(x_test, pred_type="glm")
            results = {"mean": mean, "variance": variance}
        else:
            results = {"probabilities": la(x_test, pred_type="glm", link_approx="probit")}
        t4 = clock()
        numbers = {name: value.detach().reshape(-1)[:COMPARED].tolist() for name, value in results.items()}
        return {
            "fit": t1 - t0,
            "tune": t2 - t1,
            "predict": t4 - t3,
            "marglik": float(la.log_marginal_likelihood()),
            "tuned_marglik": tuned,
            "results": numbers,
        }

    measure(cell, once)


if __name__ == "__main__":
    main()
