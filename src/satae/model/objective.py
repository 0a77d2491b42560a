"""The loss: reconstruction + alpha * saturation."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from satae.config.option_types import Reduction
from satae.model.autoencoder import DenoisingAutoencoder, Trace
from satae.model.complement import Complement, widen
from satae.model.saturation import reduce_units


class Losses(NamedTuple):
    """The loss of a batch and its two terms, each a scalar."""

    total: Tensor
    reconstruction: Tensor
    saturation: Tensor

    @classmethod
    def of(cls, reconstruction: Tensor, saturation: Tensor, alpha: float) -> Losses:
        """The terms with their sum; at alpha = 0 it equals a plain denoising autoencoder's loss bit for bit."""
        total = reconstruction + alpha * saturation if alpha else reconstruction  # the penalty may be infinite
        return cls(total, reconstruction, saturation)


class Objective(NamedTuple):
    """The loss of a saturated denoising autoencoder.

        total = reconstruction + alpha * sum over encoder layers i of f_c(z_i)

    reconstruction = 1/2 * ((x - x_hat) / std)^2. With ``reduction="mean"`` it is the mean over the elements of x, and
    each layer's f_c the mean over its units, so that alpha means the same whatever the resolution, width, depth and
    brightness. ``"sum"`` is the literal form of Goroshin & LeCun (2013), arXiv 1301.3577: sums over elements and
    units. Both are means over the samples of the batch. ``complement`` must belong to the model's own activation.
    """

    complement: Complement
    reduction: Reduction = "mean"

    def __call__(self, model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        """The losses of a batch.

        Args:
            model: gives the pre-activations and the reconstruction of ``x_noisy``.
            x: clean inputs (N, *shape), in the data's units.
            x_noisy: corrupted inputs (N, *shape).
            alpha: weight of the saturation penalty; at 0 the penalty is reported and trains nothing.
        """
        return self.losses(model.trace(x_noisy), model.standardize(x), alpha)

    def losses(self, trace: Trace, target: Tensor, alpha: float) -> Losses:
        """The losses of a finished forward pass, given the standardized clean inputs."""
        return Losses.of(*self.terms(trace, target), alpha)

    def terms(self, trace: Trace, target: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction loss and the penalty."""
        squares = functional.mse_loss(widen(trace.reconstruction), target, reduction="none")
        reconstruction = reduce_units(squares, self.reduction) / 2
        by_unit = (self.complement(z, f_z) for z, f_z in zip(trace.zs.values(), trace.fs.values(), strict=True))
        by_layer = [reduce_units(f_c, self.reduction) for f_c in by_unit]
        return reconstruction, sum(by_layer[1:], start=by_layer[0])
