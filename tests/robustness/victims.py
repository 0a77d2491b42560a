"""Small classifiers of the digits, trained once, for attacks to break."""

import copy
import functools

import torch
from every_activation import ACTIVATIONS
from torch import nn
from torch.nn import functional

from satae.data.digits import digits
from satae.robustness.norm_ball import NormBall, RandomStreams

EVERYTHING = NormBall("linf", 0.5)


@functools.cache
def data():
    """Images (N, 1, 8, 8) in [0, 1] and labels: to train on, and to attack."""
    found = digits()
    return [(split.x.float() / 16, split.y) for split in (found.train, found.test)]


@functools.cache
def classifier(act="relu", seed=0, steps=300):
    """About a second of training."""
    torch.manual_seed(seed)
    f = ACTIVATIONS[act]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 100), f(), nn.Linear(100, 100), f(), nn.Linear(100, 10))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    x, y = data()[0]
    for _ in range(steps):
        chosen = torch.randint(len(x), (256,))
        optimiser.zero_grad()
        functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimiser.step()
    optimiser.zero_grad()
    return model.eval()


@functools.cache
def precise(act="relu", seed=0):
    """The same in float64, where what an example comes to does not depend on the order of sums."""
    return copy.deepcopy(classifier(act, seed)).double()


def attacked(count=100):
    """Images and labels that training has not seen."""
    x, y = data()[1]
    return x[:count], y[:count]


def streams(count, seed=0):
    return RandomStreams.for_examples(seed, torch.arange(count))


def linear(weight):
    """A classifier of flat inputs with two classes, of which every attack is known."""
    model = nn.Linear(len(weight), 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.stack([torch.as_tensor(weight), -torch.as_tensor(weight)]))
    return model
