"""polylaplace.torch beside laplace-torch itself: the same calls, the same numbers."""

from __future__ import annotations

import warnings
from typing import Any

import laplace
import polylaplace.torch as ours
import pytest
import torch
from polylaplace.torch.utils import subnetmask
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# The networks are not trained, which is told; laplace-torch warns in its own way.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("double")]

ROWS, CLASSES = 24, 3
STRUCTURES = [("all", "full"), ("all", "kron"), ("all", "diag"), ("last_layer", "full"), ("last_layer", "kron")]
STRUCTURES += [("last_layer", "diag")]
LIKELIHOODS = ["classification", "regression"]


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, CLASSES))


def loader(likelihood: str) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(7)
    X = torch.randn(ROWS, 4, generator=generator)
    y = (
        torch.arange(ROWS) % CLASSES
        if likelihood == "classification"
        else torch.randn(ROWS, CLASSES, generator=generator)
    )
    return DataLoader(TensorDataset(X, y), batch_size=7)


def pair(likelihood: str, subset: str, structure: str, **options: Any) -> tuple[Any, Any]:
    """A posterior of laplace-torch and ours, fitted to the same data."""
    if likelihood == "regression":
        options = {"sigma_noise": 0.4, **options}
    both = [
        make(network(), likelihood, subset_of_weights=subset, hessian_structure=structure, **options)
        for make in (laplace.Laplace, ours.Laplace)
    ]
    for la in both:
        la.fit(loader(likelihood))
    return both[0], both[1]


def dense(H: Any) -> torch.Tensor:
    """A curvature as a matrix."""
    matrix = H.to_matrix() if hasattr(H, "to_matrix") else H
    return matrix if matrix.ndim == 2 else matrix.diag()


def close(ours: Any, theirs: Any, tolerance: float = 1e-9) -> None:
    scale = theirs.abs().max().item() or 1.0
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max().item() <= tolerance * scale


X_NEW = torch.randn(9, 4, generator=torch.Generator().manual_seed(11), dtype=torch.float64)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("subset", "structure"), STRUCTURES)
def test_quantities(likelihood: str, subset: str, structure: str) -> None:
    theirs, own = pair(likelihood, subset, structure, prior_precision=0.7, temperature=1.3)
    close(dense(own.H), dense(theirs.H))
    names = ["loss", "log_likelihood", "scatter", "log_det_ratio", "log_det_posterior_precision", "mean"]
    for name in [*names, "prior_precision_diag", "prior_mean", "prior_precision"]:
        close(getattr(own, name), torch.as_tensor(getattr(theirs, name)))
    close(own.log_marginal_likelihood(), theirs.log_marginal_likelihood())
    theta = own.mean + 0.1
    close(own.log_prob(theta), theirs.log_prob(theta))
    close(own.log_prob(theta, normalized=False), theirs.log_prob(theta, normalized=False))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("subset", "structure"), STRUCTURES)
def test_predictions(likelihood: str, subset: str, structure: str) -> None:
    theirs, own = pair(likelihood, subset, structure, prior_precision=0.7)
    if likelihood == "regression":
        for options in ({}, {"joint": True}, {"diagonal_output": True}):
            for mine, other in zip(own(X_NEW, **options), theirs(X_NEW, **options), strict=True):
                close(mine, other)
    else:
        for link in ("probit", "bridge", "bridge_norm"):
            close(own(X_NEW, link_approx=link), theirs(X_NEW, link_approx=link))
    # By Jacobians too, which users ask the backend for.
    of = "last_layer_jacobians" if subset == "last_layer" else "jacobians"
    (J, f), (their_J, their_f) = getattr(own.backend, of)(X_NEW), getattr(theirs.backend, of)(X_NEW)
    close(J, their_J)
    close(f, their_f)
    close(own.functional_variance(J), theirs.functional_variance(J))
    close(own.functional_covariance(J), theirs.functional_covariance(J))


@pytest.mark.parametrize(("subset", "structure"), STRUCTURES)
def test_draws_by_a_generator(subset: str, structure: str) -> None:
    theirs, own = pair("regression", subset, structure)
    close(own.sample(5, torch.Generator().manual_seed(1)), theirs.sample(5, torch.Generator().manual_seed(1)))
    for kind in ("glm", "nn"):
        draws = [
            la.functional_samples(X_NEW, pred_type=kind, n_samples=4, generator=torch.Generator().manual_seed(2))
            for la in (own, theirs)
            # laplace-torch draws no network outputs of a last layer.
            if not (kind == "nn" and subset == "last_layer" and la is theirs)
        ]
        assert draws[0].shape == (4, 9, CLASSES)
        close(draws[0], draws[-1])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("prior_structure", ["scalar", "layerwise", "diag"])
@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
def test_adam_on_the_evidence(likelihood: str, prior_structure: str, structure: str) -> None:
    if structure == "kron" and prior_structure == "diag":
        _, own = pair(likelihood, "all", structure)
        with pytest.raises(ValueError, match="one for each of 4 tensors"):
            own.optimize_prior_precision(prior_structure=prior_structure)
        return
    theirs, own = pair(likelihood, "all", structure)
    for la in (theirs, own):
        la.optimize_prior_precision(prior_structure=prior_structure, n_steps=30, init_prior_prec=0.5)
    # Adam near gradients of zero turns rounding into steps.
    close(own.prior_precision, theirs.prior_precision, 1e-6)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_grid_of_the_running_mean_and_of_a_function(likelihood: str) -> None:
    def loss(*parts: torch.Tensor) -> torch.Tensor:
        if len(parts) == 3:
            return ((parts[0] - parts[2]).square() / parts[1].diagonal(dim1=1, dim2=2)).mean()
        return nn.functional.nll_loss(parts[0].log(), parts[1])

    for chosen in (None, loss):
        theirs, own = pair(likelihood, "last_layer", "kron")
        for la in (theirs, own):
            la.optimize_prior_precision(method="gridsearch", val_loader=loader(likelihood), loss=chosen, grid_size=7)
        close(own.prior_precision, theirs.prior_precision)


@pytest.mark.parametrize(("subset", "structure"), STRUCTURES)
def test_state_dicts_of_laplace_torch(subset: str, structure: str, tmp_path: Any) -> None:
    theirs, own = pair("regression", subset, structure, prior_precision=0.7)
    if not hasattr(theirs, "state_dict"):
        pytest.skip("this laplace-torch has none")
    torch.save(theirs.state_dict(), tmp_path / "theirs.bin")
    loaded = ours.Laplace(network(), "regression", subset_of_weights=subset, hessian_structure=structure)
    loaded.load_state_dict(torch.load(tmp_path / "theirs.bin"))
    for mine, other in zip(loaded(X_NEW), own(X_NEW), strict=True):
        close(mine, other)
    close(loaded.log_marginal_likelihood(), own.log_marginal_likelihood())


@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
def test_more_data_of_the_same_are_twice_the_curvature(structure: str) -> None:
    theirs, own = pair("classification", "all", structure)
    for la in (theirs, own):
        la.fit(loader("classification"), override=False)
        assert la.n_data == 2 * ROWS
    close(dense(own.H), dense(theirs.H))
    close(own(X_NEW), theirs(X_NEW))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_evidence_has_gradients(likelihood: str) -> None:
    for subset, structure in STRUCTURES:
        theirs, own = pair(likelihood, subset, structure)
        gradients = []
        for la in (own, theirs):
            prior = torch.tensor([0.6], requires_grad=True)
            sigma = torch.tensor(0.5, requires_grad=True) if likelihood == "regression" else None
            la.log_marginal_likelihood(prior, sigma).backward()
            gradients.append([prior.grad, *([] if sigma is None else [sigma.grad])])
        close(gradients[0][0], gradients[1][0])
        if likelihood == "regression":
            # laplace-torch drops that of the log-determinant of Kronecker factors with respect to the noise.
            assert structure == "kron" or torch.allclose(gradients[0][1], gradients[1][1])
            given = (torch.tensor([0.6], requires_grad=True), torch.tensor(0.5, requires_grad=True))
            assert torch.autograd.gradcheck(own.log_marginal_likelihood, given)


@pytest.mark.parametrize(("subset", "structure"), STRUCTURES)
def test_gradients_reach_the_inputs(subset: str, structure: str) -> None:
    _, own = pair("regression", subset, structure, enable_backprop=True)
    X = X_NEW[:2].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: own(x), (X,))
    assert torch.autograd.gradcheck(lambda x: own(x, joint=True)[1], (X,))
    value = own(X, pred_type="nn", link_approx="mc", n_samples=3, generator=torch.Generator().manual_seed(0))[0].sum()
    assert torch.autograd.grad(value, X)[0].shape == X.shape


def test_dtype_is_the_network_s() -> None:
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        data = loader("regression")
        own = ours.Laplace(network(), "regression", "all", "kron")
        own.fit(DataLoader(TensorDataset(*(each.to(dtype) for each in data.dataset.tensors)), batch_size=9))
        f_mu, f_var = own(X_NEW.to(dtype))
        values = [f_mu, f_var, own.log_marginal_likelihood(), own.H.eigenvalues[0][0], own.sample(2), own.mean]
        assert {value.dtype for value in values} == {dtype}


def test_curvature_of_the_user_s_own() -> None:
    class Twice(ours.curvature.GGNInterface):
        def full(self, x: Any, y: Any, **kwargs: Any) -> Any:
            loss, H = super().full(x, y)
            return loss, 2 * H

    own = ours.Laplace(network(), "classification", "all", "full", backend=Twice)
    own.fit(loader("classification"))
    _, plain = pair("classification", "all", "full")
    close(own.H, 2 * plain.H)
    half = ours.Laplace(network(), "classification", "all", "full", temperature=0.5)
    half.fit(loader("classification"))
    close(own(X_NEW), half(X_NEW))


def test_what_is_set_by_hand_holds() -> None:
    _, own = pair("regression", "all", "diag")
    before = own(X_NEW)[1]
    own.H = own.H * 0
    assert (own(X_NEW)[1] > before).any()
    own.fit(loader("regression"))
    own.H *= 0
    J, _ = own.backend.jacobians(X_NEW)
    close(own(X_NEW)[1], J @ J.transpose(1, 2))


def test_one_mapping_a_batch() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, data: Any) -> torch.Tensor:
            return self.net(data["x"])

    X, y = loader("classification").dataset.tensors
    batches = [{"x": X[i], "labels": y[i]} for i in range(ROWS)]
    mapped = DataLoader(batches, batch_size=7)
    for subset, structure in STRUCTURES:
        own = ours.Laplace(Reads(), "classification", subset, structure, dict_key_x="x")
        own.fit(mapped)
        _, plain = pair("classification", subset, structure)
        close(dense(own.H), dense(plain.H))
        close(own({"x": X_NEW}), plain(X_NEW))
    for make in (laplace.KronLaplace, ours.KronLaplace):
        with pytest.raises(KeyError, match="target"):
            make(Reads(), "classification", dict_key_x="x", dict_key_y="target").fit(mapped)


def test_without_torch_nothing_of_it_is_imported() -> None:
    import subprocess
    import sys

    code = "import polylaplace, sys; assert 'torch' not in sys.modules; print('none')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "none"


def test_what_a_posterior_says_names_the_user_s_line() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        own = ours.Laplace(network(), "regression", "last_layer", "kron")
        own.fit(loader("regression"))
    assert {each.filename for each in said} == {__file__}


def test_functional_with_all_rows_is_the_full_posterior() -> None:
    for likelihood in LIKELIHOODS:
        for subset in ("all", "last_layer"):
            theirs, full = pair(likelihood, subset, "full", prior_precision=0.7)
            del theirs
            options = {"sigma_noise": 0.4} if likelihood == "regression" else {}
            process = ours.Laplace(network(), likelihood, subset, "gp", n_subset=ROWS, prior_precision=0.7, **options)
            process.fit(loader(likelihood))
            mine, other = process(X_NEW), full(X_NEW)
            for a, b in zip(mine, other, strict=True) if likelihood == "regression" else [(mine, other)]:
                close(a, b)
            close(process.log_marginal_likelihood().reshape(()), full.log_marginal_likelihood())
            if likelihood == "regression":
                close(process(X_NEW, joint=True)[1], full(X_NEW, joint=True)[1])


def test_functional_as_laplace_torch_has_it() -> None:
    for likelihood in LIKELIHOODS:
        for independent in (False, True):
            options = {"n_subset": 10, "independent_outputs": independent, "prior_precision": 0.7, "seed": 4}
            if likelihood == "regression":
                options["sigma_noise"] = 0.4
            theirs = laplace.FunctionalLaplace(network(), likelihood, **options)
            own = ours.FunctionalLaplace(network(), likelihood, diagonal_likelihood=True, **options)
            for la in (theirs, own):
                la.fit(loader(likelihood))
            mine, other = own(X_NEW), theirs(X_NEW)
            for a, b in zip(mine, other, strict=True) if likelihood == "regression" else [(mine, other)]:
                close(a, b)


def test_low_rank_of_every_eigenvector_is_the_full_posterior() -> None:
    _, full = pair("classification", "all", "full", prior_precision=0.7)
    own = ours.LowRankLaplace(network(), "classification", prior_precision=0.7)
    own.fit(loader("classification"))
    close(own(X_NEW), full(X_NEW), 1e-5)
    close(own.log_marginal_likelihood(), full.log_marginal_likelihood(), 1e-5)
    theta = own.mean + 0.1
    close(own.log_prob(theta), full.log_prob(theta), 1e-5)
    draws = own.sample(200_000, torch.Generator().manual_seed(0))
    close(draws.T.cov(), full.posterior_covariance, 0.02)


@pytest.mark.parametrize(("subset", "structure"), STRUCTURES)
def test_many_draws_are_those_of_one_call_of_the_generator(subset: str, structure: str) -> None:
    theirs, own = pair("regression", subset, structure)
    # More numbers than are made at once, and a last part that is no whole one.
    many = 40_003
    draws = [la.sample(many, torch.Generator().manual_seed(3)) for la in (own, theirs)]
    close(draws[0], draws[1])
    again = [torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)]
    own.sample(many, again[0])
    torch.randn(many, own.mean.numel(), generator=again[1], dtype=own.mean.dtype)
    assert torch.equal(again[0].get_state(), again[1].get_state())


@pytest.mark.parametrize("count", [1, 3, 8, 40, 98, 99])
def test_largest_scores_are_those_of_a_stable_sort(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subnetmask, "_SCORES_AT_ONCE", 8)
    missing = float("nan")
    equal = torch.tensor([1.0, missing, 3, 3, missing, 3, 2, 0, 0, -1, missing] * 9)
    for scores in (equal, torch.zeros(99), torch.arange(99.0).cos()):
        mask = torch.zeros(99, dtype=torch.bool)
        mask[scores.argsort(descending=True, stable=True)[:count]] = True
        assert torch.equal(subnetmask._largest(scores, count), mask)


def test_gradients_of_many_draws_by_the_prior_are_those_of_few() -> None:
    _, own = pair("regression", "all", "kron")
    prior = torch.tensor([0.7], dtype=own.mean.dtype, requires_grad=True)
    own.prior_precision = prior
    gradients = []
    for sizes in ([30_000], [10_000] * 3):
        generator = torch.Generator().manual_seed(3)
        draws = torch.cat([own.sample(size, generator) for size in sizes])
        gradients.append(torch.autograd.grad(draws.square().mean(), prior)[0])
    close(gradients[0], gradients[1])


@pytest.mark.parametrize(("subset", "structure"), STRUCTURES)
def test_draws_have_the_covariance(subset: str, structure: str) -> None:
    _, own = pair("classification", subset, structure, prior_precision=2.0)
    precision = own.posterior_precision
    covariance = precision.to_matrix(-1) if structure == "kron" else dense(precision).inverse()
    close(own.sample(200_000, torch.Generator().manual_seed(0)).T.cov(), covariance, 0.02)


def test_names_of_other_libraries_are_said_once_to_select_a_curvature() -> None:
    ours._base._told.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for backend in (ours.curvature.BackPackGGN, ours.curvature.AsdlEF, ours.curvature.GGNInterface):
            ours.DiagLaplace(network(), "classification", backend=backend)
    (only,) = said
    assert "BackPackGGN selects its curvature" in str(only.message)
    assert only.filename == __file__


@pytest.mark.parametrize(("likelihood", "factor"), [("classification", 1.0), ("regression", 2.0)])
@pytest.mark.parametrize("structure", ["full", "diag", "kron"])
def test_empirical_fisher_is_laplace_torch_s(likelihood: str, factor: float, structure: str) -> None:
    options = {"sigma_noise": 0.4} if likelihood == "regression" else {}
    own = ours.Laplace(network(), likelihood, "all", structure, backend=ours.curvature.AsdlEF, **options)
    data = loader(likelihood)
    own.fit(data)
    X, y = data.dataset.tensors
    # By the definition: products of the gradients of each example's loss, which is half of the square.
    G, _ = own.backend.gradients(X, y)
    G = G * own.backend.factor
    H = factor * G.T @ G
    if structure == "kron":
        # One example is exact; of several only the trace of a block is close, so the biases are compared.
        close(own.H_facs.kfacs[-1][0], H[-CLASSES:, -CLASSES:])
    else:
        close(own.H, H if structure == "full" else H.diag())
    # The core predicts with the same matrix.
    J, _ = own.backend.jacobians(X_NEW)
    f_var = own._glm_predictive_distribution(X_NEW)[1]
    close(f_var, own.functional_variance(J))


def test_labels_are_drawn_by_torch_s_seed() -> None:
    data = loader("classification")
    fitted = []
    for seed in (1, 1, 2):
        model = network()
        torch.manual_seed(seed)
        own = ours.FullLaplace(
            model, "classification", backend=ours.curvature.GGNInterface, backend_kwargs={"stochastic": True}
        )
        own.fit(data)
        fitted.append(own.H)
    assert torch.equal(fitted[0], fitted[1])
    assert not torch.allclose(fitted[0], fitted[2])
    many = ours.FullLaplace(
        network(),
        "classification",
        backend=ours.curvature.GGNInterface,
        backend_kwargs={"stochastic": True, "num_samples": 4000},
    )
    many.fit(data)
    exact = ours.FullLaplace(network(), "classification")
    exact.fit(data)
    close(many.H, exact.H, 0.05)


def test_exact_hessian() -> None:
    own = ours.FullLaplace(network(), "classification", backend=ours.curvature.CurvlinopsHessian)
    data = loader("classification")
    own.fit(data)
    X, y = data.dataset.tensors
    model = network()
    names = [name for name, _ in model.named_parameters()]
    sizes = [value.shape for value in model.parameters()]

    def loss(theta: torch.Tensor) -> torch.Tensor:
        parts = theta.split([size.numel() for size in sizes])
        named = {name: part.view(size) for name, part, size in zip(names, parts, sizes, strict=True)}
        return nn.functional.cross_entropy(torch.func.functional_call(model, named, (X,)), y, reduction="sum")

    close(own.H, torch.autograd.functional.hessian(loss, own.mean))
    # Untrained, it is indefinite: an evidence of NaN is no answer.
    own.prior_precision = 1e-3
    with pytest.raises(ArithmeticError, match="not positive definite"):
        own.log_marginal_likelihood()


@pytest.mark.parametrize("structure", ["full", "diag"])
def test_subnetworks_of_trained_parameters(structure: str) -> None:
    model = network()
    model[0].bias.requires_grad_(False)
    # Among the 24 weights and 21 parameters of the second layer that are trained.
    indices = torch.tensor([0, 5, 23, 24, 44])
    own = ours.Laplace(model, "classification", "subnetwork", structure, subnetwork_indices=indices)
    own.fit(loader("classification"))
    whole = ours.Laplace(model, "classification", "all", structure)
    whole.fit(loader("classification"))
    close(own.H, whole.H[indices][:, indices] if structure == "full" else whole.H[indices])
    J, _ = own.backend.jacobians(X_NEW)
    close(own._glm_predictive_distribution(X_NEW)[1], own.functional_variance(J))
    assert own.sample(3).shape == (3, 45)
    own.optimize_prior_precision(prior_structure="diag")
    assert len(own.prior_precision) == 5


def in_a_span(likelihood: str, **options: Any) -> tuple[Any, Any]:
    """A posterior in the span of some Jacobians, of laplace-torch and ours, not fitted."""
    if not hasattr(laplace, "ELLA"):
        pytest.skip("this laplace-torch has none")
    words = {"subset_of_weights": "all", "hessian_structure": "gp", "functional_approximation": "nystrom"}
    made = [
        library.Laplace(network(), likelihood, subsample_size=12, n_eigenvalues=5, **words, **options)
        for library in (laplace, ours)
    ]
    return made[0], made[1]


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("balanced", [False, True])
def test_in_the_span_of_some_jacobians(likelihood: str, balanced: bool) -> None:
    noise = {"sigma_noise": 0.4} if likelihood == "regression" else {}
    if balanced and likelihood == "regression":
        with pytest.raises(ValueError, match="balanced"):
            in_a_span(likelihood, **noise)[1].fit(loader(likelihood), balanced=True)
        return
    theirs, own = in_a_span(likelihood, prior_precision=0.7, temperature=1.3, **noise)
    for la in (theirs, own):
        la.fit(loader(likelihood), val_loader=loader(likelihood), balanced=balanced)
    assert type(own).__name__ == "ELLA"
    close(own.dual_directions.abs(), theirs.dual_directions.abs(), 1e-8)
    close(own.feature_gram.abs(), theirs.feature_gram.abs(), 1e-8)
    assert own.fit_history_["val_nll"] == pytest.approx(theirs.fit_history_["val_nll"], rel=1e-9)
    for joint in (False, True):
        for mine, other in zip(
            own.predictive_moments(X_NEW, joint=joint), theirs.predictive_moments(X_NEW, joint=joint), strict=True
        ):
            close(mine, other)
    J = own.backend.jacobians(X_NEW)[0]
    close(own.functional_variance(J), theirs.functional_variance(J))
    close(own.functional_covariance(J), theirs.functional_covariance(J))
    if likelihood == "classification":
        for link in ("probit", "bridge", "bridge_norm"):
            close(own(X_NEW, link_approx=link), theirs(X_NEW, link_approx=link))
    for la in (theirs, own):
        la.optimize_prior_precision(val_loader=loader(likelihood), grid_size=7)
    close(own.prior_precision, theirs.prior_precision)
    loaded = in_a_span(likelihood, **noise)[1]
    loaded.load_state_dict(theirs.state_dict())
    close(loaded.predictive_moments(X_NEW)[1], own.predictive_moments(X_NEW)[1])
    with pytest.raises(NotImplementedError):
        own.log_marginal_likelihood()


def test_in_the_span_of_all_jacobians_it_is_the_gaussian_over_weights() -> None:
    if not hasattr(laplace, "ELLA"):
        pytest.skip("this laplace-torch has none")
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    X, y = torch.randn(60, 2), torch.randn(60, 1)
    rows = DataLoader(TensorDataset(X, y), batch_size=13)
    own = ours.ELLA(model, "regression", 60, 9, prior_precision=0.5, sigma_noise=0.3, enable_backprop=True)
    full = ours.Laplace(model, "regression", "all", "full", prior_precision=0.5, sigma_noise=0.3)
    for la in (own, full):
        la.fit(rows)
    points = torch.randn(5, 2, requires_grad=True)
    close(own(points)[1].detach(), full(points.detach())[1], 1e-7)
    draws = own.functional_samples(points, n_samples=3, joint=True)
    assert draws.shape == (3, 5, 1)
    (gradient,) = torch.autograd.grad(draws.sum(), points)
    assert torch.isfinite(gradient).all()
    with pytest.raises(ValueError, match="variational"):
        ours.Laplace(model, "regression", "all", "gp", functional_approximation="variational")


@pytest.mark.parametrize(("subset", "structure"), [*STRUCTURES, ("all", "gp")])
def test_means_are_the_networks_outputs_to_the_last_bit(subset: str, structure: str) -> None:
    model = network().float()
    rows, y = torch.randn(30, 4, dtype=torch.float32), torch.randn(30, CLASSES, dtype=torch.float32)
    options = {"n_subset": 30} if structure == "gp" else {}
    own = ours.Laplace(model, "regression", subset, structure, **options)
    own.fit(DataLoader(TensorDataset(rows, y), batch_size=11))
    mean, variance = own(rows)
    assert mean.dtype == variance.dtype == torch.float32
    torch.testing.assert_close(mean, model(rows), rtol=1e-6, atol=1e-7)
    if structure != "gp":
        assert torch.equal(mean, model(rows))
