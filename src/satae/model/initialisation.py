"""Initial weights that give every pre-activation mean 0 and variance 1."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.layers import Layer, TiedDense

QUIET: Final = 0.1


@torch.no_grad()
def unit_variance(model: DenoisingAutoencoder, x: Tensor) -> None:
    """Scale the weights and shift the bias of each hidden layer so that its z has mean 0 and variance 1 on a batch.

    Layer-sequential unit variance (Mishkin & Matas 2015, arXiv 1511.06422), with the mean of the layer taken out as
    well. Without it the units of a shrink network begin, and stay, in the dead zone. Layers that are batch-normalised,
    whose weights belong to another layer, or whose z does not vary, are left alone.

    Behind a relu code the last layer of a convolutional decoder gets a tenth of its weights. Such a code has thousands
    of inputs, so that one step of Adam moves it far; were the first pictures random and loud, the first steps would
    silence it, and relu units for good. Ours: measured, not derived; a sigmoid code learns too late from quiet
    pictures.

    Args:
        model: changed in place, encoder first, then the decoder's hidden layers.
        x: a batch (N, *shape), corrupted as in training.
    """
    h = model.standardise(x)
    for part in [*model.encoder.children(), *model.decoder.children()]:
        if isinstance(part, Layer) and isinstance(part.norm, nn.Identity) and not isinstance(part.affine, TiedDense):
            z = part.pre_activation(h)
            std = z.std(correction=0)
            if std > torch.finfo(z.dtype).eps:
                part.affine.weight.div_(std)
                part.affine.bias.sub_(z.mean()).div_(std)  # type: ignore[union-attr]
        h = part(h)
    last, code = [*model.decoder.children()][-1], model.layers()[-1][1]
    if isinstance(last, nn.ConvTranspose2d) and isinstance(code.act, nn.ReLU):
        last.weight.mul_(QUIET)
