"""Every example in a docstring of the library does what it says."""

import doctest
import importlib
import pkgutil

import satae
import satae.data
import satae.model
import satae.training


def library() -> list[str]:
    names = ["satae", "satae.experiment.build", "satae.experiment.experiment"]
    for package in (satae.model, satae.data, satae.training):
        names += [item.name for item in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    return names


def test_examples_in_docstrings():
    results = {name: doctest.testmod(importlib.import_module(name)) for name in library()}
    assert {name: result.failed for name, result in results.items() if result.failed} == {}
    assert {"satae", "satae.model.complement", "satae.model.autoencoder"} <= {
        name for name, result in results.items() if result.attempted
    }
