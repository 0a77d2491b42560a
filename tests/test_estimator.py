"""``satae.SaturatedAutoencoder`` is an estimator of scikit-learn, and trains what ``satae.train`` trains."""

import inspect
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from program import files
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import satae
from satae import ConfigError, RunFailedError
from satae.config.registry import conf_values
from satae.config.schema import GROUPS, default_choice

SMALL = {"epochs": 1, "threads": 1, "options": {"arch.widths": [8, 3], "logger": "none"}}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def digits(count=120):
    return load_digits().data[:count] / 16


def small(**words):
    return satae.SaturatedAutoencoder(**{**SMALL, **words})


@estimator_checks.parametrize_with_checks([small(batch_size=32)])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("words", [{}, {"alpha": 0.5, "act": "tanh", "noise": "masking", "seed": 2}])
def test_the_weights_are_those_of_satae_train_with_the_same_words(words):
    x = digits()
    fitted = small(**words).fit(x)
    run = satae.train(data=x, **{**SMALL, **words}, directory="run", quiet=True)
    ours, others = fitted.model_.state_dict(), run.model.state_dict()
    assert all(torch.equal(ours[name], others[name]) for name in others)
    assert np.array_equal(fitted.transform(x), run.model.encode(x))
    assert fitted.history_[-1]["valid/fvu"] == run.history[-1]["valid/fvu"]


def test_defaults_are_those_of_the_command():
    settings = conf_values("config.yaml")
    for name, parameter in inspect.signature(satae.SaturatedAutoencoder).parameters.items():
        if name in GROUPS:
            assert parameter.default == default_choice(name).name
        elif name not in ("options", "directory", "quiet"):
            assert parameter.default == settings[name]


def test_it_stands_in_a_pipeline_whose_options_are_searched():
    x, y = digits(), load_digits().target[:120]
    steps = make_pipeline(StandardScaler(), small(), LogisticRegression(max_iter=20))
    search = GridSearchCV(steps, {"saturatedautoencoder__alpha": [0, 0.1]}, cv=2, error_score="raise")
    with warnings.catch_warnings(action="ignore"):
        search.fit(x, y)
    assert len(search.cv_results_["mean_test_score"]) == 2
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert [*names] == [f"saturatedautoencoder{number}" for number in range(3)]


def test_the_score_is_one_minus_the_unexplained_variance():
    x = np.random.default_rng(0).random((120, 5), dtype="float32")
    fitted = small(epochs=20).fit(x)
    std = fitted.model_.std.numpy()
    error = (((x - fitted.inverse_transform(fitted.transform(x))) / std) ** 2).mean()
    assert fitted.score(x) == pytest.approx(1 - error / (((x - x.mean(0)) / std) ** 2).mean(), abs=1e-5)
    assert small(epochs=1).fit(x).score(x) < fitted.score(x) < 1


def test_images_are_examples_too():
    x = digits().reshape(-1, 8, 8)
    fitted = small(arch="conv", options={"logger": "none"}).fit(x)
    assert fitted.inverse_transform(fitted.transform(x)).shape == (120, 1, 8, 8)


def test_no_files_are_kept_unless_a_directory_is_named():
    small().fit(digits())
    assert files(".") == []
    small(directory="run").fit(digits())
    assert "run/run.json" in files(".")


def test_a_fitted_estimator_is_copied_and_pickled():
    x = digits()
    fitted = small().fit(x)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(x), fitted.transform(x))
    assert clone(fitted).get_params() == fitted.get_params()


def test_a_word_that_cannot_be_used_is_refused_by_fit_in_the_line_of_the_command():
    with pytest.raises(ConfigError, match=r"^alpha=-1: must be at least 0$"):
        small(alpha=-1).fit(digits())
    with pytest.raises(ConfigError, match=r"^act: is given twice"):
        small(options={"act": "tanh"}).fit(digits())


def test_a_failure_names_no_directory_that_is_gone():
    with pytest.raises(RunFailedError) as failed:
        small(optim="sgd", epochs=3, options={"optim.lr": 1e30}).fit(digits())
    assert "/" not in str(failed.value)
    assert "resume" not in str(failed.value)


def test_codes_of_another_width_are_refused():
    fitted = small().fit(digits())
    with pytest.raises(ValueError, match="X has 4 columns; codes of this model have 3"):
        fitted.inverse_transform(np.zeros((2, 4)))


def test_one_line_names_scikit_learn_where_it_is_missing():
    code = "import sys; sys.modules['sklearn'] = None; sys.modules['sklearn.base'] = None; import satae\n"
    code += "try: satae.SaturatedAutoencoder\nexcept ImportError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "satae.SaturatedAutoencoder needs scikit-learn; pip install scikit-learn\n"
