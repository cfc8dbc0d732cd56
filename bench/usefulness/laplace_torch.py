"""The answers of laplace-torch with its own defaults: laplace_torch.py NETWORKS.json ANSWERS.json.

Last layer, Kronecker factors, the prior by the marginal likelihood, probit: `Laplace(model, likelihood)`, `fit`,
`optimize_prior_precision()`, and a call. Its noise of a regression is 1 unless it is tuned, so that prior and noise are
tuned together there, as its documentation does. Answers: for each network of the file, in its order, the probabilities
of test rows and of rows that are none, or mean and variance with the noise.
"""

import json
import sys

import torch
from laplace import Laplace

NOISE_STEPS = 200


def module(layers, activation, classes):
    """The network in float64, ready to predict; one logit f becomes two, 0 and f, as laplace-torch takes no other."""
    parts = []
    if classes == 2 and len(layers[-1]["bias"]) == 1:
        (weight,), (bias,) = layers[-1]["weight"], layers[-1]["bias"]
        layers = [*layers[:-1], {"weight": [[0.0] * len(weight), weight], "bias": [0.0, bias]}]
    for i, layer in enumerate(layers):
        weight, bias = torch.tensor(layer["weight"]), torch.tensor(layer["bias"])
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight, bias
        parts.append(linear)
        if i == len(layers) - 1:
            break
        if "norm" in layer:
            norm = torch.nn.BatchNorm1d(len(bias))
            names = ("weight", "bias", "running_mean", "running_var")
            norm.load_state_dict(
                {name: torch.tensor(v) for name, v in zip(names, layer["norm"], strict=True)}, strict=False
            )
            parts.append(norm)
        parts.append(torch.nn.ReLU() if activation == "relu" else torch.nn.Tanh())
    return torch.nn.Sequential(*parts).eval()


def tune_noise(la):
    """Prior precision and noise by the marginal likelihood, with Adam on their logarithms."""
    log_prior, log_sigma = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([log_prior, log_sigma], lr=0.1)
    for _ in range(NOISE_STEPS):
        optimizer.zero_grad()
        loss = -la.log_marginal_likelihood(log_prior.exp(), log_sigma.exp())
        loss.backward()
        optimizer.step()


def answers(network, data, classes):
    """What it says of one network."""
    member = network["members"][0]
    x, y = torch.tensor(data["train"][0]), torch.tensor(data["train"][1])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=64)
    la = Laplace(module(member["layers"], member["activation"], classes), "classification" if classes else "regression")
    la.fit(loader)
    test, other = torch.tensor(data["test"][0]), torch.tensor(data["other"])
    if classes:
        la.optimize_prior_precision()
        # Of one logit the probability of its class alone.
        first = classes - len(member["layers"][-1]["bias"])
        return {"probabilities": [la(rows)[:, first:].tolist() for rows in (test, other)]}
    tune_noise(la)
    mean, variance = la(test)
    noise = la.sigma_noise.detach() ** 2
    return {"mean": mean.tolist(), "variance": (torch.diagonal(variance, dim1=1, dim2=2) + noise).tolist()}


def answers_or_error(network, cell):
    """The same, or why there is no answer."""
    try:
        return answers(network, cell["data"], cell["classes"])
    except (RuntimeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    """Reads the networks and writes the answers."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    with open(sys.argv[1]) as file:
        cells = json.load(file)
    result = [answers_or_error(network, cell) for cell in cells for network in cell["networks"]]
    with open(sys.argv[2], "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
