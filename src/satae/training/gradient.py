"""The gradient of the losses of a batch: by automatic differentiation, or written out where that is quicker."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.objective import Losses, Objective
from satae.training import written_out
from satae.training.losses import LossesOf, batch_losses
from satae.training.precision import Precision

# of (model, x, x_noisy, alpha): the losses of a batch; their gradient is left in the weights of the model
Gradient = Callable[[DenoisingAutoencoder, Tensor, Tensor, float], Losses]


def by_autograd(losses_of: LossesOf) -> Gradient:
    """Automatic differentiation, for any model and any losses."""

    def gradient(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        losses = losses_of(model, x, x_noisy, alpha)
        for weights in model.parameters():  # ``zero_grad`` without its profiler and its look for a compiler
            weights.grad = None
        losses.total.backward()
        return Losses(*(value.detach() for value in losses))

    return gradient


def quickest(
    model: DenoisingAutoencoder, objective: Objective, precision: Precision, compile_size: int | None = None
) -> Gradient:
    """What the loop calls for each batch.

    Args:
        model: that is trained.
        objective: gives the losses.
        precision: of the products.
        compile_size: the size of the batches for which the forward pass is compiled; None for none.
    """
    if compile_size is None and written_out.applies(model, objective):
        return written_out.WrittenOut(model, objective, precision)
    return by_autograd(batch_losses(objective, precision, model.mean.device, compile_size))
