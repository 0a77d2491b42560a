"""The kinds of file that a trained model is exported to, and how each is read back."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from satae.config import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from satae.model.autoencoder import DenoisingAutoencoder
    from satae.training.checkpoint import State


class Source(NamedTuple):
    """What is exported."""

    state: State  # of the checkpoint
    model: DenoisingAutoencoder
    x: Tensor  # (N, *shape), some of its inputs


class Format(NamedTuple):
    """A kind of file."""

    suffix: str
    write: Callable[[Source, Path], None]
    read: Callable[[Path], Callable[[Tensor], Sequence[Tensor]]]  # inputs -> reconstruction, code


def outputs(model: DenoisingAutoencoder) -> nn.Module:
    """A module x -> (reconstruction, code), which is what other programs get."""
    from torch import nn

    class Outputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            code = self.model.encode(x)
            return self.model.decode(code), code

    return Outputs().eval()


def _write_weights(source: Source, path: Path) -> None:
    from satae.training import checkpoint

    kept = {name: x for name, x in source.state.tensors.items() if name.startswith("model/")}
    facts = {key: source.state.facts[key] for key in ("config", "shape")}
    checkpoint.save(path, checkpoint.State(facts, kept))


def _read_weights(path: Path) -> Callable[[Tensor], Sequence[Tensor]]:
    from satae.runs.loading import load

    model = load(path)
    return lambda x: (model(x), model.encode(x))


def _write_program(source: Source, path: Path) -> None:
    import torch

    batch = torch.export.Dim("batch")
    program = torch.export.export(outputs(source.model), (source.x,), dynamic_shapes={"x": {0: batch}})
    torch.export.save(program, path)


def _read_program(path: Path) -> Callable[[Tensor], Sequence[Tensor]]:
    import torch

    program: Callable[[Tensor], Sequence[Tensor]] = torch.export.load(path).module()
    return program


def _write_onnx(source: Source, path: Path) -> None:
    import torch

    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise ConfigError("format=onnx: is not installed; install it with pip install 'satae[onnx]'") from None
    logging.disable(logging.WARNING)  # of what it does not find, and does not need
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.onnx.export(
                outputs(source.model),
                (source.x,),
                path,
                input_names=["x"],
                output_names=["reconstruction", "code"],
                dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        logging.disable(logging.NOTSET)


def _read_onnx(path: Path) -> Callable[[Tensor], Sequence[Tensor]]:
    import torch
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: [torch.from_numpy(array) for array in session.run(None, {"x": x.numpy()})]


FORMATS: Final[Mapping[str, Format]] = {
    "safetensors": Format(".safetensors", _write_weights, _read_weights),
    "torch_export": Format(".pt2", _write_program, _read_program),
    "onnx": Format(".onnx", _write_onnx, _read_onnx),
}
