"""The saturation regularizer, attached to any torch module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from satae.model.activations import FACTS, facts_of
from satae.model.complement import Complement, Reading

Reduction = Literal["mean", "sum"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


def reduce_units(values: Tensor, reduction: Reduction) -> Tensor:
    """Reduce one number for each sample and unit (N, ...) to a scalar.

    ``"mean"`` is over samples and units, ``"sum"`` over units with the mean over samples.

    Raises:
        ValueError: unknown reduction.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction={reduction!r}: choose one of {', '.join(REDUCTIONS)}")
    # the gradient of a quotient of a sum is one number; that of ``mean`` is written out for each element
    return values.sum() / (values.numel() if reduction == "mean" else len(values))


class Saturation:
    """The saturation of a module's activations in its last forward pass.

    Before the first one, all methods that read it raise RuntimeError.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        self._reduction: Reduction = reduction
        self._seen: dict[str, tuple[Complement, Tensor]] = {}
        self._uses: Counter[str] = Counter()
        self._running = False

    def start_pass(self, *_: Any) -> None:
        """Forget the last forward pass (a forward pre-hook of the attached module)."""
        self._seen, self._uses, self._running = {}, Counter(), True

    def end_pass(self, *_: Any) -> None:
        """Close the forward pass (a forward hook of the attached module)."""
        self._running = False

    def record(self, name: str, complement: Complement, z: Tensor) -> None:
        """Store the pre-activation ``z`` of the activation called ``name``."""
        if self._running:
            self._uses[name] += 1
            key = name if self._uses[name] == 1 else f"{name}#{self._uses[name]}"
            self._seen[key] = complement, z.clone() if getattr(complement.act, "inplace", False) else z

    def pre_activations(self) -> dict[str, Tensor]:
        """The input of each activation, by layer name: (N, units...)."""
        return {name: z for name, (_, z) in self._last().items()}

    def by_layer(self) -> dict[str, Tensor]:
        """The penalty of each layer, differentiable scalars by layer name; the n-th use of one module is ``name#n``."""
        return {name: reduce_units(f_c(z), self._reduction) for name, (f_c, z) in self._last().items()}

    def total(self) -> Tensor:
        """The penalty of the last forward pass, summed over layers: a differentiable scalar."""
        return torch.stack(list(self.by_layer().values())).sum()

    def saturated_fraction(self) -> Tensor:
        """The share of all units and samples of the last forward pass that lie in a flat set: a scalar in [0, 1]."""
        flat = [f_c.is_flat(z) for f_c, z in self._last().values()]
        return torch.stack([f.sum() for f in flat]).sum() / sum(f.numel() for f in flat)

    def saturated_fraction_by_layer(self) -> dict[str, Tensor]:
        """The saturated share of each layer, by layer name."""
        return {name: f_c.is_flat(z).float().mean() for name, (f_c, z) in self._last().items()}

    def _last(self) -> dict[str, tuple[Complement, Tensor]]:
        if not self._seen:
            raise RuntimeError("no forward pass yet: call the module that the regularizer is attached to first")
        return self._seen


@contextmanager
def saturating(
    module: nn.Module,
    reading: Reading = "output",
    eps: float = 0.05,
    *,
    reduction: Reduction = "mean",
    layers: Sequence[str] | None = None,
) -> Iterator[Saturation]:
    """Watch the pre-activations of every activation in a module, for as long as the context lasts.

        with saturating(classifier) as saturation:
            loss = cross_entropy(classifier(x), y) + alpha * saturation.total()

    Call ``module`` itself, not its parts: only this call starts a forward pass. Functional activations such as
    ``F.relu`` inside a ``forward`` cannot be seen; use modules.

    Args:
        module: any module with activations as submodules, or an activation.
        reading: how f_c is read: ``"output"``, ``"input"`` or ``"slope"``.
        eps: the slope below which a tail counts as flat.
        reduction: ``"mean"`` over each layer's units, or ``"sum"`` over them.
        layers: names of the activations to watch, as in ``module.named_modules()``; all by default.

    Yields:
        The penalty and the saturated share of the last forward pass.

    Raises:
        ValueError: no activation to attach to, an activation without a flat set, or an unknown name.
    """
    saturation = Saturation(reduction)

    def recorder(name: str, f_c: Complement) -> Any:
        def hook(act: nn.Module, positional: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            saturation.record(name, f_c, next(iter((*positional, *named.values()))))

        return hook

    complements = {name: Complement(act, reading, eps) for name, act in _select(module, layers).items()}
    hooks = [module.register_forward_pre_hook(saturation.start_pass)]
    for name, f_c in complements.items():
        hooks += [f_c.act.register_forward_pre_hook(recorder(name, f_c), with_kwargs=True)]
    hooks += [module.register_forward_hook(saturation.end_pass, always_call=True)]
    try:
        yield saturation
    finally:
        for hook in hooks:
            hook.remove()


def activations(module: nn.Module, also: tuple[type[nn.Module], ...] = ()) -> dict[str, nn.Module]:
    """The activations of known classes, and of those in ``also``, in a module, by their names in it.

    Raises:
        ValueError: the module has none.
    """
    known = (*FACTS, *also)  # nn.Identity stands in models as a placeholder
    found = {name or "module": act for name, act in module.named_modules() if isinstance(act, known)}
    if not found:
        raise ValueError(
            f"{type(module).__name__} has no activation module to saturate"
            " (functional ones such as F.relu cannot be seen; write nn.ReLU() as a submodule)"
        )
    return found


def _select(module: nn.Module, layers: Sequence[str] | None) -> dict[str, nn.Module]:
    known = activations(module)
    if missing := [name for name in layers or [] if name not in known]:
        raise ValueError(f"layers={missing}: no such activation; choose from {', '.join(known)}")
    chosen = {name: act for name, act in known.items() if layers is None or name in layers}
    if not chosen:
        raise ValueError(f"layers=[]: name at least one activation; choose from {', '.join(known)}")
    for name, act in chosen.items():
        try:
            facts_of(act)
        except ValueError as error:
            raise ValueError(f"{name}: {error}; or name the layers to saturate with layers=[...]") from None
    return chosen
