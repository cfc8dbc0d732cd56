"""Uses the Python package: doctor, fit, prediction, saved and loaded. Arguments: network, digits as JSON."""

import base64
import json
import sys

import numpy as np
import polylaplace

with open(sys.argv[2], encoding="utf8") as file:
    digits = json.load(file)
pixels = np.frombuffer(base64.b64decode(digits["pixels"]), np.uint8).reshape(-1, 64) / digits["scale"]
labels = np.array([int(label) for label in digits["labels"]])

polylaplace.doctor()
la = polylaplace.Laplace(sys.argv[1], "classification", subset_of_weights="last_layer", hessian_structure="kron")
la.fit(pixels[:120].astype("float32"), labels[:120])
la.optimize_prior_precision(method="linearized")
probabilities = la(pixels[600:605].astype("float32"))
assert probabilities.shape == (5, 10)
assert np.allclose(probabilities.sum(1), 1)
la.save("digits.posterior")
assert np.array_equal(polylaplace.load("digits.posterior")(pixels[600:605].astype("float32")), probabilities)
print(f"polylaplace {polylaplace.__version__}: {len(probabilities)} rows predicted")
