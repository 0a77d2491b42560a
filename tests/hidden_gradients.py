"""Models with a known truth whose gradients are hidden: positive controls of the checks for masking."""

import copy

from torch import nn

from satae.model.activations import PROPERTIES


class Steep(nn.Module):
    """f(s z) instead of f(z): a saturating network decides nearly as before, but its gradients vanish."""

    def __init__(self, act, factor):
        super().__init__()
        self.act, self.factor = act, factor

    def forward(self, z):
        return self.act(self.factor * z)


class Faded(Steep):
    """f(z) with the gradient f'(s z): it vanishes as s grows, and the robustness stays the same."""

    def forward(self, z):
        f_sz = self.act(self.factor * z) / self.factor
        return self.act(z).detach() + (f_sz - f_sz.detach())


def hide_gradients(model, kind, factor):
    """A copy of a model, with each of its activations made ``Steep`` or ``Faded``."""
    found = copy.deepcopy(model)
    for part in [*found.modules()]:
        for name, child in part.named_children():
            if isinstance(child, tuple(PROPERTIES)):
                setattr(part, name, kind(child, factor))
    return found
