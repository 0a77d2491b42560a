"""satae.evaluate_robustness: any classifier under the whole suite."""

import re

import pytest
import torch
from hidden_gradients import Steep, hide_gradients
from torch import nn
from victims import attacked, classifier, precise

import satae

QUICK = {"steps": 20, "restarts": 1, "queries": 50, "temperatures": (10.0, 100.0)}
COUNT = 80


@pytest.fixture(scope="module")
def data():
    return attacked(COUNT)


class Rounded(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model((8 * x).round() / 8)


def test_an_honest_classifier_is_not_masked(data):
    found = satae.evaluate_robustness(classifier("relu"), *data, epsilons=[0.05, 0.1], **QUICK)
    assert (found.verdict.gradients, found.verdict.level) == ("visible", "corroborated")
    values = [one.value for one in found.accuracies.values()]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9
    assert values[2] < 0.6
    assert values[-1] < 0.2  # where every input can become the same grey
    assert str(found).endswith("verdict: holds; gradients visible, level corroborated")
    assert str(found).startswith("epsilon 0: accuracy ")


def test_hidden_gradients_are_reported_with_and_without_modules(data):
    steep = hide_gradients(classifier("tanh"), Steep, 100)
    scaled = satae.evaluate_robustness(steep, *data, epsilons=[0.1], **QUICK)
    rounded = satae.evaluate_robustness(Rounded(classifier("relu")), *data, epsilons=[0.1], **QUICK)
    for found in (scaled, rounded):
        assert found.verdict.gradients == "hidden"
        assert found.verdict.word == "masked"
        margin = found.outcomes.at(0.1).with_names(["pgd-margin"]).accuracy.value
        assert margin > found.accuracies[0.1].value + 0.05  # what a careless attack would report


def test_the_model_is_left_as_it_was(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5))
    model[0].eval()
    model[1].bias.requires_grad_(False)
    satae.evaluate_robustness(model, *(part[:5] for part in data), epsilons=[0.1], **QUICK)
    assert [module.training for module in model.modules()] == [True, False, True, True]
    assert [weight.requires_grad for weight in model.parameters()] == [True, False]


def test_the_size_of_batches_does_not_matter(data):
    x, y = (part[:20] for part in data)
    whole, split = (
        satae.evaluate_robustness(precise("relu"), x.double(), y, epsilons=[0.1], batch_size=size, **QUICK)
        for size in (20, 7)
    )
    assert all(
        torch.equal(a.robust, b.robust) for a, b in zip(whole.outcomes.results, split.outcomes.results, strict=True)
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epsilons": []}, "epsilons=[]: give at least one radius above 0"),
        ({"epsilons": [0.1], "norm": "l1"}, "norm=l1: choose one of linf, l2"),
        ({"epsilons": [0.1], "high": 0.5}, "leave the range low=0 to high=0.5"),
        ({"epsilons": [0.1], "libraries": ["art"]}, "libraries=['art']: choose from autoattack, foolbox"),
        ({"epsilons": [0.1], "y": torch.zeros(3)}, "must be N numbers and N labels"),
        ({"epsilons": [0.1], "y": torch.full((5,), -1)}, "labels must be whole numbers from 0"),
    ],
)
def test_what_cannot_be_attacked_is_refused(data, change, told):
    given = {"x": data[0][:5], "y": data[1][:5], **change}
    with pytest.raises(ValueError, match=re.escape(told)):
        satae.evaluate_robustness(classifier("relu"), **given)
