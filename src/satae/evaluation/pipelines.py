"""The models under attack: a classifier alone, or behind an autoencoder."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.evaluation.classifiers import Classifier
from satae.evaluation.subject import sha256
from satae.model.activations import PROPERTIES
from satae.model.autoencoder import DenoisingAutoencoder, Dense, Encoder, Layer, TiedDense, use_library
from satae.model.products import library_for_processor

Step = Callable[[Tensor], Tensor]

ACTIVATIONS: Final = tuple(PROPERTIES)
MERGEABLE: Final = (nn.Linear, TiedDense, nn.BatchNorm1d, nn.Flatten, nn.Identity, *ACTIVATIONS)


class Pipeline(NamedTuple):
    """A model under attack. Gradients flow through all of it."""

    model: nn.Module  # inputs (N, *shape) in the data's units -> logits (N, labels), with merged layers
    original: nn.Module  # the same as it was trained

    @classmethod
    def of(cls, *modules: nn.Module) -> Pipeline:
        """Chain modules; their weights need no gradients."""
        original = nn.Sequential(*modules).eval().requires_grad_(False)
        return cls(merge_affine(original), original)

    def fingerprint(self) -> str:
        """SHA-256 of everything that an attack on it depends on: structure and weights."""
        return sha256(self.original.state_dict(), str(self.original))


@torch.no_grad()
def merge_affine(model: nn.Module) -> nn.Module:
    """A fully connected model with one layer for all affine maps between two activations; any other model unchanged.

    A layer is merged with its batch normalization and with the standardization before it, and the last layer of an
    autoencoder with the first layer of the classifier behind it. The matrices are multiplied in float64 and rounded
    once, so the outputs differ from those of ``model`` by rounding.

    Args:
        model: in evaluation mode; it is not changed.
    """
    steps = list(_steps(copy.deepcopy(model).double()))
    first = next((step for step in steps if isinstance(step, Dense)), None)
    if first is None or not all(isinstance(step, MERGEABLE) for step in steps if isinstance(step, nn.Module)):
        return model
    merged: list[nn.Module] = [nn.Flatten()]
    shape: Sequence[int] = first.inputs
    for is_activation, group in groupby(steps, lambda step: isinstance(step, ACTIVATIONS)):
        if is_activation:
            merged += group  # type: ignore[arg-type]  # activations are modules
        else:
            layer, shape = _one_layer([*group], shape, next(model.parameters()).device)
            merged.append(layer)
    found = nn.Sequential(*merged).to(next(model.parameters())).eval().requires_grad_(False)
    use_library(found, library_for_processor())
    return found


def _steps(module: nn.Module) -> Iterator[Step]:
    """The affine maps and activations of a model, in order."""
    if type(module) is DenoisingAutoencoder:  # a class of a plugin may do something else with its parts
        yield module.standardize
        yield from _steps(module.encoder)
        yield from _steps(module.decoder)
        yield module.unstandardize
    elif isinstance(module, Encoder) and type(module.autoencoder) is DenoisingAutoencoder:
        yield module.autoencoder.standardize
        yield from _steps(module.autoencoder.encoder)
    elif isinstance(module, Classifier):
        yield module.standardize
        yield from _steps(module.layers)
    elif type(module) in (Layer, nn.Sequential):
        for part in module.children():  # of a layer: the affine map, the normalization, the activation
            yield from _steps(part)
    else:
        yield module


def _one_layer(steps: Sequence[Step], shape: Sequence[int], device: torch.device) -> tuple[Dense, Sequence[int]]:
    """The layer that computes some affine maps, and the shape of its outputs.

    Args:
        steps: the maps, in float64.
        shape: shape of one input.
        device: device of the maps.
    """
    size = math.prod(shape)
    points = torch.cat([torch.zeros(1, size), torch.eye(size)]).to(device, torch.float64)
    images = functools.reduce(lambda x, step: step(x), steps, points.view(-1, *shape))
    with torch.device("meta"):  # without random weights
        layer = Dense(shape, images.shape[1:])
    images = images.flatten(1)
    layer.weight, layer.bias = nn.Parameter((images[1:] - images[0]).t().contiguous()), nn.Parameter(images[0])
    return layer, layer.outputs
