"""The saturation regularizer, attached to any torch module."""

from __future__ import annotations

import functools
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any, Final, cast, get_args

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn import functional

from satae.config.option_types import Reading, Reduction
from satae.model.activations import PROPERTIES, properties_of
from satae.model.complement import Complement

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)
CONVOLUTIONS: Final = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
BATCHED_INPUT: Final = (nn.Linear, *CONVOLUTIONS)  # modules that also take one sample without a batch dimension
FUNCTION_NAMES: Final = (  # of functional activations that attacks soften, too
    *("relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "leaky_relu", "softplus", "softsign"),
    *("tanh", "sigmoid", "logsigmoid", "hardtanh", "hardsigmoid", "hardswish", "softshrink", "hardshrink", "threshold"),
)
FUNCTIONS: Final = {  # functional activations, by identity
    id(getattr(home, spelling)): name
    for home in (torch, functional, torch.special)
    for name in (*FUNCTION_NAMES, "prelu", "rrelu", "expit", "tanhshrink", "softmax", "log_softmax", "softmin", "glu")
    for spelling in (name, f"{name}_")  # which changes its input in place
    if hasattr(home, spelling)
}
COPIES: Final[tuple[str, ...]] = ("__reduce_ex__", "__deepcopy__")  # methods by which a module is copied
COMPILED: Final = "_orig_mod"  # the name that torch.compile gives to the module that it wraps


def reduce_units(values: Tensor, reduction: Reduction) -> Tensor:
    """Reduce one number for each sample and unit (N, ...) to a scalar.

    ``"mean"`` is over samples and units, ``"sum"`` over units with the mean over samples.

    Raises:
        ValueError: unknown reduction.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction={reduction!r}: choose one of {', '.join(REDUCTIONS)}")
    # the gradient of a quotient of a sum is one number; that of ``mean`` is written out for each element
    return values.sum() / max(1, values.numel() if reduction == "mean" else len(values))


class Saturation:
    """The saturation of a module's activations in its last forward pass.

    Methods that read the pass raise RuntimeError before the first one, and where its numbers would be wrong: after a
    pass that ended with an error, after ``torch.func.vmap`` has ended, and for a layer that was compiled before the
    context or joined the module in it. A call of the module inside its own pass belongs to that pass.

    A forward pass without a batch dimension counts as one sample: N is 1.
    """

    def __init__(
        self, module: nn.Module, complements: dict[str, Complement], reduction: Reduction, every: bool
    ) -> None:
        """Prepare to watch some activations of a module, which may be ``every`` one that it has."""
        self._module, self._complements, self._reduction, self._every = module, complements, reduction, every
        self._known = {*module.modules()}
        self._seen: dict[str, tuple[Complement, Tensor]] = {}
        self._versions: dict[str, int | None] = {}  # of each z when it was seen; None where torch does not count them
        self._uses: Counter[str] = Counter()
        self._passes = 0
        self._running = False  # until a pass ends without an error
        self._in_checkpoint = False
        self._batched: bool | None = None  # whether the input has a batch dimension; None until a layer shows it

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Record every call of the module."""
        hooks = [self._module.register_forward_pre_hook(self._start_pass)]
        for part in self._known:
            if isinstance(part, BATCHED_INPUT):
                hooks += [part.register_forward_pre_hook(self._see_shape)]
        for name, f_c in self._complements.items():
            hooks += [f_c.act.register_forward_pre_hook(functools.partial(self._record, name, f_c), with_kwargs=True)]
        hooks += [self._module.register_forward_hook(self._end_pass)]
        ids = {hook.id for hook in hooks}
        outer = {part: {key: vars(part)[key] for key in COPIES if key in vars(part)} for part in self._known}
        for part, before in outer.items():  # of a context around this one
            reduce: Any = before.get("__reduce_ex__") or functools.partial(type(part).__reduce_ex__, part)
            vars(part)["__reduce_ex__"] = functools.partial(_reduce_without_hooks, reduce, ids)
            if copier := getattr(part, "__deepcopy__", None):  # such as that of torch's parametrizations
                vars(part)["__deepcopy__"] = functools.partial(_deepcopy_without_hooks, copier, part, ids)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for part, before in outer.items():
                for key in COPIES:
                    vars(part).pop(key, None)
                vars(part).update(before)

    def _start_pass(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        if _calls_on_stack(self._module) > 1:
            return
        self._seen, self._versions, self._uses, self._in_checkpoint = {}, {}, Counter(), False
        self._passes, self._running = self._passes + 1, True
        self._batched = None

    def _end_pass(self, *_: Any) -> None:
        self._running = _calls_on_stack(self._module) > 1

    def _see_shape(self, part: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Notice whether a linear layer or a convolution receives one sample without a batch dimension."""
        if self._running and inputs and self._batched is None:
            sample = 1 if isinstance(part, nn.Linear) else 1 + len(cast(Sized, part.kernel_size))
            self._batched = inputs[0].dim() > sample

    def _record(
        self, name: str, f_c: Complement, act: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]
    ) -> None:
        """Store the pre-activation of one call of an activation."""
        if self._running:
            z = next(iter((*inputs, *named.values())))
            self._uses[name] += 1
            key = name if self._uses[name] == 1 else f"{name}#{self._uses[name]}"
            z = z.clone() if getattr(act, "inplace", False) else z
            self._seen[key], self._versions[key] = (f_c, z), _version(z)
            self._in_checkpoint |= not torch.is_grad_enabled() and _is_in_reentrant_checkpoint()

    def pre_activations(self) -> dict[str, Tensor]:
        """The input of each activation, by layer name: (N, units...)."""
        return {name: z for name, (_, z) in self._last().items()}

    def by_layer(self) -> dict[str, Tensor]:
        """The penalty of each layer, differentiable scalars by layer name; the n-th use of one module is ``name#n``.

        It is 0 for a layer that received no samples.

        Raises:
            RuntimeError: see the class; or the penalty would have no gradient, since
                ``torch.utils.checkpoint.checkpoint(use_reentrant=True)`` computes the forward pass without one.
        """
        last = self._last()
        if self._in_checkpoint and torch.is_grad_enabled():
            raise RuntimeError(
                "the penalty would have no gradient: checkpoint(use_reentrant=True) runs the forward pass without"
                " gradients; use checkpoint(..., use_reentrant=False)"
            )
        return {name: reduce_units(f_c(z), self._reduction) for name, (f_c, z) in last.items()}

    def total(self) -> Tensor:
        """The penalty of the last forward pass, summed over layers: a differentiable scalar.

        Raises:
            RuntimeError: as for :meth:`by_layer`.
        """
        return torch.stack(list(self.by_layer().values())).sum()

    def saturated_fraction(self) -> Tensor:
        """The share of all units and samples of the last forward pass that lie in a flat set: a scalar in [0, 1]."""
        flat = [f_c.is_flat(z) for f_c, z in self._last().values()]
        return torch.stack([f.sum() for f in flat]).sum() / sum(f.numel() for f in flat)

    def saturated_fraction_by_layer(self) -> dict[str, Tensor]:
        """The saturated share of each layer, by layer name; nan for a layer that received no samples."""
        return {name: f_c.is_flat(z).float().mean() for name, (f_c, z) in self._last().items()}

    def _last(self) -> dict[str, tuple[Complement, Tensor]]:
        if not self._passes:
            raise RuntimeError("no forward pass yet: call the module that the regularizer is attached to first")
        if self._running and not _calls_on_stack(self._module):
            raise RuntimeError(
                "the last forward pass ended with an error, and its penalty would be incomplete: call the module again"
            )
        self._refuse_missing()
        if not self._seen:
            raise RuntimeError(f"the last forward pass called none of the activations {', '.join(self._complements)}")
        first = next(iter(self._seen.values()))[1]
        try:
            first.view_as(first)
        except RuntimeError:
            raise RuntimeError(
                "the forward pass was made inside torch.func.vmap, which has ended: ask for the penalty inside the"
                " mapped function and return it; or on sparse or nested tensors: make them dense"
            ) from None
        if changed := [name for name, (_, z) in self._seen.items() if self._versions[name] not in (None, _version(z))]:
            raise RuntimeError(
                f"{', '.join(changed)}: the input was changed in place after the activation had read it; use an"
                " operation that makes a new tensor, such as z = z + x for z += x, or inplace=False"
            )
        if self._batched or (self._batched is None and first.dim() > 1):
            return self._seen
        return {name: (f_c, z[None]) for name, (f_c, z) in self._seen.items()}

    def _refuse_missing(self) -> None:
        """Refuse to leave out a layer that the pass has used."""
        for name, part in self._module.named_modules() if self._every else ():
            if part not in self._known and isinstance(part, tuple(PROPERTIES)):
                raise RuntimeError(f"{name}: joined the module after the context had begun; begin a new context")
        unseen = [name for name in self._complements if not self._uses[name]]
        if compiled := [name for name in unseen if COMPILED in name.split(".")]:
            raise RuntimeError(
                f"{', '.join(compiled)}: not seen, since torch.compile has compiled the module before; call"
                " torch.compiler.reset() first, or compile inside the context"
            )


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
    ``F.relu`` inside a ``forward`` cannot be seen; use modules. A warning names what seems to be an activation but is
    not watched. The module can be copied and saved inside the context; copies are not watched.

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
    complements = {name: Complement(act, reading, eps) for name, act in _select(module, layers).items()}
    if layers is None and (unwatched := _describe_unwatched(module)):
        warnings.warn(f"not in the penalty: {unwatched}; or name the layers to watch with layers=[...]", stacklevel=3)
    saturation = Saturation(module, complements, reduction, every=layers is None)
    with saturation.watch():
        yield saturation


def activations(module: nn.Module, also: tuple[type[nn.Module], ...] = ()) -> dict[str, nn.Module]:
    """The activations of known classes, and of those in ``also``, in a module, by their names in it."""
    known = (*PROPERTIES, *also)  # nn.Identity stands in models as a placeholder
    return {name or "module": act for name, act in module.named_modules() if isinstance(act, known)}


def _select(module: nn.Module, layers: Sequence[str] | None) -> dict[str, nn.Module]:
    known = activations(module)
    if not known:
        remedy = "functional ones such as F.relu cannot be seen; write nn.ReLU() as a submodule"
        why = _describe_unwatched(module) or remedy
        raise ValueError(f"{type(module).__name__} has no activation module to saturate ({why})")
    if isinstance(layers, str):
        raise ValueError(f"layers={layers!r}: must be a list of names, such as layers=[{layers!r}]")
    if missing := [name for name in layers or [] if name not in known]:
        raise ValueError(f"layers={missing}: no such activation; choose from {', '.join(known)}")
    chosen = {name: act for name, act in known.items() if layers is None or name in layers}
    if not chosen:
        raise ValueError(f"layers=[]: name at least one activation; choose from {', '.join(known)}")
    for name, act in chosen.items():
        try:
            properties_of(act)
        except ValueError as error:
            raise ValueError(f"{name}: {error}; or name the layers to saturate with layers=[...]") from None
    return chosen


def _describe_unwatched(module: nn.Module) -> str:
    """What seems to be an activation in a module but cannot be watched, with a remedy; empty if there is nothing."""
    unknown, functions, scripted = list[str](), list[str](), list[str]()
    for name, part in module.named_modules():
        is_scripted = isinstance(part, torch.jit.ScriptModule)
        kind = str(part.original_name) if is_scripted else type(part).__name__
        title = f"{kind} ({name})" if name else kind
        if is_scripted and hasattr(nn.modules.activation, kind):
            scripted.append(title)
        if _seems_an_activation(part):
            unknown.append(title)
        for used in _functional_activations(part):
            functions.append(f"{used} in {title}")
    remedies = []
    if unknown:
        remedies.append(f"{', '.join(unknown)}, unknown to satae: satae.register the class if it is flat somewhere")
    if scripted:
        remedies.append(f"{', '.join(scripted)}, scripted or traced: use the module before torch.jit")
    if functions:
        remedies.append(f"{', '.join(functions)}, called as a function: use a submodule such as nn.ReLU()")
    return "; ".join(remedies)


def _seems_an_activation(part: nn.Module) -> bool:
    """Whether a module is an activation of torch, or a user's own module with at most single numbers as parameters."""
    if isinstance(part, (*PROPERTIES, nn.Identity, nn.MultiheadAttention)) or next(part.children(), None) is not None:
        return False
    is_torch = type(part).__module__.startswith("torch.")
    is_simple = all(parameter.numel() == 1 for parameter in part.parameters())
    return type(part).__module__ == nn.ReLU.__module__ if is_torch else is_simple


def _functional_activations(part: nn.Module) -> list[str]:
    """The names of activations that a module calls as functions, as far as its attributes tell."""
    if isinstance(part, nn.RNNBase | nn.RNNCellBase):
        return [part.nonlinearity if isinstance(part, nn.RNN | nn.RNNCell) else "sigmoid and tanh"]
    values = (value.func if isinstance(value, functools.partial) else value for value in vars(part).values())
    return [FUNCTIONS[id(value)] for value in values if id(value) in FUNCTIONS]


def _reduce_without_hooks(
    reduce: Callable[[Any], tuple[Any, ...]], ids: Collection[int], protocol: Any
) -> tuple[Any, ...]:
    """What ``copy`` and ``pickle`` keep of a module: everything but the hooks of these ids."""
    make, arguments, state, *rest = reduce(protocol)
    kept = {
        name: type(value)((key, own) for key, own in value.items() if key not in ids)
        if isinstance(value, dict) and any(key in ids for key in value)
        else value
        for name, value in state.items()
        if name != "__reduce_ex__"
    }
    return make, arguments, kept, *rest


def _deepcopy_without_hooks(
    copier: Callable[[Any], nn.Module], part: nn.Module, ids: Collection[int], memo: Any
) -> nn.Module:
    """Copy a module by a method of its own, which copies all attributes: without the hooks of these ids."""
    before = dict(vars(part))
    for name, value in before.items():
        if name in COPIES:
            del vars(part)[name]
        elif isinstance(value, dict) and any(key in ids for key in value):
            vars(part)[name] = type(value)((key, own) for key, own in value.items() if key not in ids)
    try:
        return copier(memo)
    finally:
        vars(part).update(before)


def _calls_on_stack(module: nn.Module) -> int:
    """How many calls of a module have begun and not ended; an interrupt of the user's leaves none."""
    if torch.compiler.is_compiling():
        return 0
    code = nn.Module._call_impl.__code__
    frames = (frame for frame, _ in traceback.walk_stack(None) if frame.f_code is code)
    return sum(frame.f_locals.get("self") is module for frame in frames)


def _version(z: Tensor) -> int | None:
    """How many times a tensor has been changed in place; None where torch does not count it."""
    if torch.compiler.is_compiling() or z.is_inference():
        return None
    return z._version


def _is_in_reentrant_checkpoint() -> bool:
    """Whether this is called while ``torch.utils.checkpoint`` runs a forward pass without gradients."""
    if torch.compiler.is_compiling():
        return False
    return any(frame.f_code.co_filename == torch.utils.checkpoint.__file__ for frame, _ in traceback.walk_stack(None))
