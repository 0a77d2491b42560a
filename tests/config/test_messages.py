"""What is suggested instead of a word that is not a choice."""

import pytest

from satae.config.schema import GROUPS
from satae.messages import SYNONYMS, did_you_mean

MEANT = {
    "act": {
        **{"swish": "silu", "logistic": "sigmoid", "hardtanh": "satlin", "softshrink": "shrink"},
        **{"hard_sigmoid": "hardsigmoid", "Hard-Swish": "hardswish", "soft_threshold": "shrink", "sgmoid": "sigmoid"},
        **dict.fromkeys(
            ("linear", "identity", "leaky_relu", "hardshrink", "step", "heaviside", "Sign", "SwiGLU", "sin")
        ),
    },
    "optim": {"AdamW": "adamw", "signSGD": "signum", "nesterov": "sgd", "SGD": "sgd", "adagrad": None},
    "noise": {"dropout": "masking", "normal": "gaussian", "s&p": "salt_and_pepper", "off": "none"},
    "data": {
        "cifar": "cifar10",
        "cifar-10": "cifar10",
        "FashionMNIST": "fashion_mnist",
        "npy": "array",
        "csv": None,
        "hdf5": None,
    },
    "arch": {"cnn": "conv", "fully-connected": "mlp", "linear": "mlp"},
    "logger": {"false": "none", "tb": "tensorboard"},
}


@pytest.mark.parametrize("group", MEANT)
def test_a_word_that_means_a_choice_suggests_it_even_if_another_looks_more_like_it(group):
    names = GROUPS[group].names()
    suggested = {word: did_you_mean(word, names) for word in MEANT[group]}
    assert suggested == {word: f"; did you mean {name}?" if name else "" for word, name in MEANT[group].items()}


def test_every_synonym_stands_for_a_choice_and_is_written_as_words_are_looked_up():
    known = {name for registry in GROUPS.values() for name in registry.names()} | {"cuda", "mean", "fp32"}
    assert {name for names in SYNONYMS.values() for name in names} <= known
    assert [word for word in SYNONYMS if word != word.lower() or set(word) & set("-_ ")] == []
