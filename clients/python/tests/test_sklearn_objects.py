"""scikit-learn objects around a network: the posterior's point prediction is the object's own."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from polylaplace import DataError, Laplace, LaplaceClassifier, LaplaceRegressor, OptionError, StateError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)) * [1.0, 20.0, 0.1, 3.0] + [5.0, 0.0, 2020.0, -1.0]
CENTRED = (X - X.mean(axis=0)) / X.std(axis=0)
CLASSES = (CENTRED[:, 0] + CENTRED[:, 1] > 0).astype(int) + (CENTRED[:, 2] > 1)
TARGETS = np.stack([1000 + 50 * CENTRED[:, 0], CENTRED[:, 1] - CENTRED[:, 3]], axis=1)


def mlp(**more: Any) -> dict[str, Any]:
    return {"hidden_layer_sizes": (5,), "max_iter": 60, "random_state": 0, **more}


def fitted(model: Any, y: Any, rows: Any = X) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows, y)


PREPARATIONS = {
    "standard": StandardScaler(),
    "min-max": MinMaxScaler((-1, 1)),
    "robust, then largest": make_pipeline(RobustScaler(), MaxAbsScaler()),
    "columns": ColumnTransformer([("a", StandardScaler(), [2, 0]), ("b", "passthrough", [3])]),
    "components": make_pipeline(StandardScaler(), PCA(3, whiten=True)),
}


@pytest.mark.parametrize("name", PREPARATIONS)
def test_pipelines_are_prepared_as_they_prepare(name: str) -> None:
    pipe = fitted(make_pipeline(PREPARATIONS[name], MLPClassifier(**mlp())), CLASSES)
    la = Laplace(pipe, "classification", "all", "diag", prior_precision=1e12).fit(X, CLASSES)
    assert np.abs(la(X) - pipe.predict_proba(X)).max() < 1e-6
    assert la.n_params == sum(part.size for part in (*pipe[-1].coefs_, *pipe[-1].intercepts_))


def test_searches_and_estimators() -> None:
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier(**mlp())), {"mlpclassifier__alpha": [1e-4, 1e-2]}, cv=2
    )
    fitted(search, CLASSES)
    la = Laplace(search, "classification", "all", "diag", prior_precision=1e12).fit(X, CLASSES)
    assert np.abs(la(X) - search.predict_proba(X)).max() < 1e-6
    names = np.array(["a", "b", "c"])[CLASSES]
    pipe = fitted(make_pipeline(StandardScaler(), MLPClassifier(**mlp())), names)
    model = LaplaceClassifier(pipe, prior_precision=1e12, subset_of_weights="all", hessian_structure="diag")
    model.fit(X, names)
    assert np.abs(model.predict_proba(X) - pipe.predict_proba(X)).max() < 1e-6
    assert (model.predict(X) == pipe.predict(X)).all()
    with pytest.raises(StateError, match=r"refit=True|call its fit first"):
        Laplace(GridSearchCV(MLPClassifier(), {}), "classification").fit(X, CLASSES)


def test_targets_are_scaled_back() -> None:
    for scaler in (StandardScaler(), MinMaxScaler()):
        inner = make_pipeline(StandardScaler(), MLPRegressor(**mlp(solver="lbfgs")))
        for y in (TARGETS, TARGETS[:, 0]):
            model = fitted(TransformedTargetRegressor(inner, transformer=scaler), y)
            la = Laplace(model, "regression", "all", "diag", prior_precision=1e12).fit(X, y)
            assert np.allclose(la.predict(X).mean.squeeze(), model.predict(X), rtol=1e-7)
    own = LaplaceRegressor(model).fit(X, TARGETS[:, 0])
    assert np.sqrt(np.mean((own.predict(X) - TARGETS[:, 0]) ** 2)) < 10


def test_what_is_not_linear_is_refused() -> None:
    for step in (PolynomialFeatures(2), MinMaxScaler(clip=True)):
        pipe = fitted(make_pipeline(step, MLPClassifier(**mlp())), CLASSES)
        with pytest.raises(OptionError, match=r"not a linear function .*Pipeline.*give the network inside, model.-1."):
            Laplace(pipe, "classification").fit(X, CLASSES)
    # As the message says, with the network that is fitted.
    rows = np.column_stack([X[:, :2], np.arange(60) % 3])
    codes = ColumnTransformer([("k", OneHotEncoder(), [2])], remainder=StandardScaler())
    model = fitted(make_pipeline(codes, MLPClassifier(**mlp())), CLASSES, rows)
    with pytest.raises(OptionError, match=r"LaplaceClassifier\(model\[-1\]\)"):
        LaplaceClassifier(model).fit(rows, CLASSES)
    inside = LaplaceClassifier(model[-1], prior_precision=1e12, subset_of_weights="all", hessian_structure="diag")
    pipe = Pipeline([*model.steps[:-1], ("laplace", inside)]).fit(rows, CLASSES)
    assert np.abs(pipe.predict_proba(rows) - model.predict_proba(rows)).max() < 1e-6
    target = TransformedTargetRegressor(MLPRegressor(**mlp()), func=np.log, inverse_func=np.exp)
    with pytest.raises(OptionError, match="regressor_"):
        Laplace(fitted(target, TARGETS[:, 0]), "regression").fit(X, TARGETS[:, 0])
    several = fitted(MultiOutputRegressor(MLPRegressor(**mlp())), TARGETS)
    with pytest.raises(OptionError, match=r"holds several networks.*model\.estimators_\[0\]"):
        Laplace(several, "regression").fit(X, TARGETS)


@pytest.mark.filterwarnings("ignore")
def test_text_is_refused_with_what_to_do_and_its_codes_are_taken() -> None:
    words = np.array(list("abc") * 20, dtype=object).reshape(-1, 1)
    pipe = make_pipeline(OneHotEncoder(), MLPClassifier(**mlp())).fit(words, CLASSES)
    for model in (LaplaceClassifier(pipe), Laplace(pipe, "classification"), LaplaceClassifier(pipe[-1])):
        with pytest.raises(DataError, match=r"holds text \('a'\).*model\[:-1\]\.transform\(X\)"):
            model.fit(words, CLASSES)
    coded = pipe[:-1].transform(words).toarray()
    network = LaplaceClassifier(pipe[-1]).fit(coded, CLASSES)
    with pytest.raises(DataError, match="holds text"):
        network.predict(words)
    assert network.predict_proba(coded[:3]).shape == (3, 3)


def test_columns_are_matched_by_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    other = frame[["d", "b", "a", "c"]]
    bare = fitted(MLPClassifier(**mlp()), CLASSES, frame)
    transformer = ColumnTransformer([("s", StandardScaler(), ["c", "a"]), ("p", "passthrough", ["d"])])
    for model in (bare, fitted(make_pipeline(transformer, MLPClassifier(**mlp())), CLASSES, frame)):
        for shown in (frame, other):
            la = Laplace(model, "classification", "all", "diag", prior_precision=1e12).fit(shown, CLASSES)
            for rows in (frame, other):
                assert np.abs(la(rows) - model.predict_proba(frame)).max() < 1e-6
            with pytest.raises(Exception, match="not those of the training"):
                la(frame.rename(columns={"a": "z"}))
            estimator = LaplaceClassifier(
                model, prior_precision=1e12, subset_of_weights="all", hessian_structure="diag"
            ).fit(shown, CLASSES)
            assert np.abs(estimator.predict_proba(shown) - model.predict_proba(frame)).max() < 1e-6
    unnamed = fitted(MLPClassifier(**mlp()), CLASSES)
    la = Laplace(unnamed, "classification", "all", "diag").fit(frame, CLASSES)
    assert np.abs(la(other) - la(frame)).max() == 0, "the names of the fit are kept"
    assert la.summary["inputs"][0]["columns"] == list("abcd")


def test_columns_of_categories_are_refused_with_the_pipeline_that_takes_them() -> None:
    pandas = pytest.importorskip("pandas")
    kinds = pandas.Categorical(np.where(X[:, 0] > 0, "many", "few"))
    frame = pandas.DataFrame({"a": X[:, 1], "kind": kinds})
    steps = ColumnTransformer([("s", StandardScaler(), ["a"]), ("k", OneHotEncoder(), ["kind"])])
    model = fitted(make_pipeline(steps, MLPClassifier(**mlp())), CLASSES, frame)
    for unfit in (model, clone(model)):
        with pytest.raises(DataError, match=r"text .* in column 'kind'.*put the posterior into the Pipeline"):
            LaplaceClassifier(unfit).fit(frame, CLASSES)
    dated = frame.assign(kind=pandas.date_range("2020", periods=len(X)))
    with pytest.raises(DataError, match="not numbers"):
        LaplaceClassifier(MLPClassifier(**mlp())).fit(dated, CLASSES)
    whole = Pipeline([*model.steps[:-1], ("laplace", LaplaceClassifier(model[-1]))]).fit(frame, CLASSES)
    assert whole.predict_proba(frame[["kind", "a"]]).shape == (len(X), 3)


def test_an_unfitted_pipeline_is_trained() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LaplaceClassifier(make_pipeline(StandardScaler(), MLPClassifier(**mlp(max_iter=300))))
        model.fit(X, CLASSES)
    assert model.score(X, CLASSES) > 0.7
