"""Writes tables and networks trained on them for bench/usefulness/run.mjs: networks.py FILE.json [--seed 0] [--quick].

Tables are scikit-learn's own and made ones; networks are trained here, by numpy or by scikit-learn, with five seeds
each: the first is the network, all five are its ensemble. Of every table at most 200 rows train, 30 are held
out, and at most 400 test; linnerud has 20 rows in all, hence more splits. Inputs are standardised by the training rows,
targets of regression too.
"""

import argparse
import json
import warnings
from itertools import pairwise

import numpy as np
from sklearn import datasets
from sklearn.neural_network import MLPClassifier, MLPRegressor

MOST_TRAIN, HELD_OUT, MOST_TEST = 200, 30, 400
ENSEMBLE = 5
# Kinds of training: how a network is stopped decides whether it learns its rows by heart.
KINDS = {
    "early stopping": {"calm": True, "stop": True},
    "weight decay": {"calm": True, "decay": 0.03},
    "trained to the end": {"calm": False},
    "dropout": {"calm": False, "dropout": 0.2},
    "batch norm": {"calm": False, "norm": True},
    "scikit-learn, early stopping": {"calm": True, "sklearn": {"early_stopping": True, "n_iter_no_change": 20}},
    "scikit-learn, alpha = 0": {"calm": False, "sklearn": {"alpha": 0.0, "solver": "lbfgs"}},
}
# A table of 20 rows needs some to be held out, some to test, and so more splits than the others.
FEW_ROWS, FEW_HELD_OUT, SPLITS_OF_FEW = 40, 5, 6
QUICK = {"tables": ("iris", "moons", "friedman"), "kinds": ("early stopping", "trained to the end")}


def moons(random):
    x, y = datasets.make_moons(700, noise=0.35, random_state=random)
    return x, y


def blobs(random):
    return datasets.make_blobs(700, n_features=4, centers=5, cluster_std=3.0, random_state=random)


def friedman(random):
    return datasets.make_friedman1(700, n_features=8, noise=1.5, random_state=random)


def wave(random):
    x = np.random.default_rng(random).uniform(-3, 3, (600, 1))
    return x, np.sin(2 * x[:, 0]) + 0.3 * np.random.default_rng(random + 1).standard_normal(600)


def own(load):
    return lambda random: load(return_X_y=True)


# Name: what makes the table, its number of classes (0: regression), its training rows.
TABLES = {
    "breast cancer": (own(datasets.load_breast_cancer), 2, MOST_TRAIN),
    "moons": (moons, 2, MOST_TRAIN),
    "iris": (own(datasets.load_iris), 3, 75),
    "wine": (own(datasets.load_wine), 3, 85),
    "blobs": (blobs, 5, 150),
    "digits": (own(datasets.load_digits), 10, 100),
    "diabetes": (own(datasets.load_diabetes), 0, MOST_TRAIN),
    "friedman": (friedman, 0, MOST_TRAIN),
    "linnerud": (own(datasets.load_linnerud), 0, 10),
    "wave": (wave, 0, 100),
}


def split(name, seed):
    """Training, held-out and test rows of a table, and rows that are none: permuted columns."""
    make, classes, size = TABLES[name]
    random = np.random.default_rng([seed, sum(map(ord, name))])
    x, y = make(seed)
    order = random.permutation(len(x))
    held_out = HELD_OUT if len(x) > FEW_ROWS else FEW_HELD_OUT
    train, held, test = np.split(order, [size, size + held_out])
    test = test[:MOST_TEST]
    keep = x[train].std(0) > 0
    centre, scale = x[train][:, keep].mean(0), x[train][:, keep].std(0)
    x = (x[:, keep] - centre) / scale
    if not classes:
        y = y.reshape(len(y), -1)
        y = (y - y[train].mean(0)) / y[train].std(0)
    other = np.stack([random.permutation(column) for column in x[test].T], 1)
    return {"train": (x[train], y[train]), "held": (x[held], y[held]), "test": (x[test], y[test]), "other": other}


def softmax(f):
    e = np.exp(f - f.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def residual(f, y, classes):
    """Gradient of the mean loss with respect to the outputs."""
    return (softmax(f) - np.eye(classes)[y] if classes else f - y) / len(y)


def loss(f, y, classes):
    if not classes:
        return float(((f - y) ** 2).mean())
    return float(-np.log(np.maximum(softmax(f)[np.arange(len(y)), y], 1e-12)).mean())


class Network:
    """Two hidden layers of 24 tanh or ReLU units; batch norm before the activation."""

    def __init__(self, random, inputs, outputs, activation, norm):
        sizes = [inputs, 24, 24, outputs]
        self.activation, self.norm = activation, norm
        self.weights = [random.standard_normal((b, a)) * np.sqrt(2 / (a + b)) for a, b in pairwise(sizes)]
        self.biases = [np.zeros(b) for b in sizes[1:]]
        self.scales = [np.ones(24), np.ones(24)] if norm else []
        self.shifts = [np.zeros(24), np.zeros(24)] if norm else []
        self.statistics = [(np.zeros(24), np.ones(24)), (np.zeros(24), np.ones(24))]

    def parameters(self):
        return [*self.weights, *self.biases, *self.scales, *self.shifts]

    def forward(self, x, dropout=0.0, random=None):
        """Outputs and what the backward pass needs; `random` is given in training."""
        steps = []
        for i, (w, b) in enumerate(zip(self.weights, self.biases)):
            a, x = x, x @ w.T + b
            if i == len(self.weights) - 1:
                return x, [*steps, (a, None, None)]
            normal = None
            if self.norm:
                mean, variance = (x.mean(0), x.var(0)) if random is not None else self.statistics[i]
                if random is not None:
                    old = self.statistics[i]
                    self.statistics[i] = (0.9 * old[0] + 0.1 * mean, 0.9 * old[1] + 0.1 * variance)
                deviation = np.sqrt(variance + 1e-5)
                normal = ((x - mean) / deviation, deviation)
                x = normal[0] * self.scales[i] + self.shifts[i]
            h = np.maximum(x, 0) if self.activation == "relu" else np.tanh(x)
            slope = (x > 0) * 1.0 if self.activation == "relu" else 1 - h**2
            mask = (random.uniform(size=h.shape) >= dropout) / (1 - dropout) if random is not None and dropout else 1.0
            x = h * mask
            steps.append((a, slope * mask, normal))
        return x, steps

    def gradients(self, steps, g):
        dw, db, ds, dt = [], [], [], []
        for i in reversed(range(len(self.weights))):
            a, slope, normal = steps[i]
            if slope is not None:
                g = g * slope
            if normal is not None:
                z, deviation = normal
                ds.insert(0, (g * z).sum(0))
                dt.insert(0, g.sum(0))
                g = g * self.scales[i]
                g = (g - g.mean(0) - z * (g * z).mean(0)) / deviation
            dw.insert(0, g.T @ a)
            db.insert(0, g.sum(0))
            g = g @ self.weights[i]
        return [*dw, *db, *ds, *dt]

    def layers(self):
        result = []
        for i, (w, b) in enumerate(zip(self.weights, self.biases)):
            layer = {"weight": w.tolist(), "bias": b.tolist()}
            if self.norm and i < len(self.weights) - 1:
                mean, variance = self.statistics[i]
                layer["norm"] = [v.tolist() for v in (self.scales[i], self.shifts[i], mean, variance)]
            result.append(layer)
        return result


def trained(data, classes, activation, random, decay=0.0, dropout=0.0, norm=False, stop=False, epochs=200):
    """Adam with steps of 0.01 on batches of 32; `stop` keeps the weights that did best on a fifth of the rows."""
    x, y = data
    aside = len(x) // 5 if stop else 0
    fit, check = (x[aside:], y[aside:]), (x[:aside], y[:aside])
    network = Network(random, x.shape[1], classes or y.shape[1], activation, norm)
    parameters = network.parameters()
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    best, kept, t = np.inf, None, 0
    for _ in range(epochs):
        for rows in np.array_split(random.permutation(len(fit[0])), max(1, len(fit[0]) // 32)):
            f, steps = network.forward(fit[0][rows], dropout, random)
            t += 1
            for p, g, m, v in zip(
                parameters, network.gradients(steps, residual(f, fit[1][rows], classes)), first, second
            ):
                g = g + decay * p
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        if stop:
            score = loss(network.forward(check[0])[0], check[1], classes)
            if score < best:
                best, kept = score, [p.copy() for p in parameters]
    if kept is not None:
        for p, value in zip(parameters, kept):
            p[...] = value
    return {"activation": activation, "layers": network.layers()}


def by_sklearn(data, classes, seed, options):
    model = (MLPClassifier if classes else MLPRegressor)(
        hidden_layer_sizes=(24, 24), max_iter=400, random_state=seed, **options
    )
    x, y = data
    if options.get("early_stopping"):
        # Its own rows to stop by are at least two.
        model.set_params(validation_fraction=max(0.1, 2 / len(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y.ravel() if y.shape[1:] == (1,) else y)
    layers = [{"weight": w.T.tolist(), "bias": b.tolist()} for w, b in zip(model.coefs_, model.intercepts_)]
    return {"activation": "relu", "layers": layers}


def members(name, data, kind, seed):
    """The network and the other members of its ensemble."""
    classes, result = TABLES[name][1], []
    options = {k: v for k, v in KINDS[kind].items() if k != "calm"}
    for member in range(ENSEMBLE):
        if "sklearn" in options:
            result.append(by_sklearn(data, classes, 100 * seed + member, options["sklearn"]))
            continue
        random = np.random.default_rng([seed, member, sum(map(ord, name + kind))])
        result.append(trained(data, classes, "relu" if seed % 2 else "tanh", random, **options))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    names = QUICK["tables"] if options.quick else TABLES
    kinds = QUICK["kinds"] if options.quick else KINDS
    cells = []
    for name in names:
        for number in range(1 if options.quick else SPLITS_OF_FEW if name == "linnerud" else options.splits):
            seed = options.seed + number
            data = split(name, seed)
            plain = {k: v.tolist() if k == "other" else [part.tolist() for part in v] for k, v in data.items()}
            networks = [
                {"kind": kind, "calm": KINDS[kind]["calm"], "members": members(name, data["train"], kind, seed)}
                for kind in kinds
            ]
            cells.append({"table": name, "seed": seed, "classes": TABLES[name][1], "data": plain, "networks": networks})
    with open(options.file, "w") as file:
        json.dump(cells, file)


if __name__ == "__main__":
    main()
