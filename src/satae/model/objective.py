"""The loss: reconstruction + alpha * saturation."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder, Trace
from satae.model.complement import Complement
from satae.model.saturation import Reduction, reduce_units


class Losses(NamedTuple):
    """The loss of a batch and its two terms, each a scalar."""

    total: Tensor
    reconstruction: Tensor
    saturation: Tensor


class Objective(NamedTuple):
    """The loss of a saturated denoising autoencoder.

        total = reconstruction + alpha * sum over encoder layers i of f_c(z_i)

    reconstruction = 1/2 * ((x - x_hat) / std)^2. With ``reduction="mean"`` it is the mean over the elements of x, and
    each layer's f_c the mean over its units, so that alpha means the same whatever the resolution, width, depth and
    brightness. ``"sum"`` is the literal form of Goroshin & LeCun (2013), arXiv 1301.3577: sums over elements and
    units. Both are means over the samples of the batch.
    """

    complement: Complement
    reduction: Reduction = "mean"

    def __call__(self, model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        """The losses of a batch.

        Args:
            model: gives the pre-activations and the reconstruction of ``x_noisy``.
            x: clean inputs (N, *shape), in the data's units.
            x_noisy: the same, corrupted.
            alpha: weight of the saturation penalty; at 0 the penalty is reported and trains nothing.
        """
        return self.of(model.trace(x_noisy), x, model.std, alpha)

    def of(self, trace: Trace, x: Tensor, std: Tensor, alpha: float) -> Losses:
        """The same from a forward pass that has been made."""
        error = (trace.x_hat - x) / std
        reconstruction = reduce_units(error.square(), self.reduction) / 2
        layers = [reduce_units(self.complement(z), self.reduction) for z in trace.zs.values()]
        saturation = sum(layers[1:], start=layers[0])
        # bit for bit a plain denoising autoencoder at alpha = 0, also where the penalty is infinite
        total = reconstruction + alpha * saturation if alpha else reconstruction
        return Losses(total, reconstruction, saturation)
