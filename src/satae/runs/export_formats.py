"""The file formats that a trained model can be exported to: how each is written, and read back to check it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from satae.config import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from satae.model.autoencoder import DenoisingAutoencoder
    from satae.training.checkpoint import State

Outputs = Sequence["Tensor"]  # the reconstruction (N, *shape) and the code (N, *code)


class ExportFormat(NamedTuple):
    """How to write one kind of file, and how to run the model in it."""

    suffix: str
    write: Callable[[Path, State, DenoisingAutoencoder, Tensor], None]  # path, checkpoint, model, example inputs
    read: Callable[[Path], Callable[[Tensor], Outputs]]  # path -> a function of the inputs


def write_safetensors(path: Path, state: State, model: DenoisingAutoencoder, x: Tensor) -> None:
    """Write the weights, with the facts that ``satae.load`` needs to build the model."""
    from satae.training import checkpoint

    weights = {name: tensor for name, tensor in state.tensors.items() if name.startswith("model/")}
    checkpoint.save(path, checkpoint.State({key: state.facts[key] for key in ("config", "shape")}, weights))


def read_safetensors(path: Path) -> Callable[[Tensor], Outputs]:
    """Load the weights into a model."""
    from satae.runs.loading import load

    model = load(path)
    return lambda x: (model(x), model.encode(x))


def write_torch_export(path: Path, state: State, model: DenoisingAutoencoder, x: Tensor) -> None:
    """Write a program for ``torch.export.load`` that takes any number of inputs."""
    import torch

    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(_with_code(model), (x,), dynamic_shapes={"x": {0: batch}}), path)


def read_torch_export(path: Path) -> Callable[[Tensor], Outputs]:
    """Load the program."""
    import torch

    program: Callable[[Tensor], Outputs] = torch.export.load(path).module()
    return program


def write_onnx(path: Path, state: State, model: DenoisingAutoencoder, x: Tensor) -> None:
    """Write an ONNX model that takes any number of inputs.

    Raises:
        ConfigError: the packages that this needs are not installed.
    """
    import torch

    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise ConfigError("format=onnx: is not installed; install it with pip install 'satae[onnx]'") from None
    logging.disable(logging.WARNING)  # torch warns about packages that are not needed
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.onnx.export(
                _with_code(model),
                (x,),
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


def read_onnx(path: Path) -> Callable[[Tensor], Outputs]:
    """Load the model into ONNX Runtime."""
    import torch
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: [torch.from_numpy(array) for array in session.run(None, {"x": x.numpy()})]


def _with_code(model: DenoisingAutoencoder) -> nn.Module:
    """A module that returns the reconstruction and the code; the model itself returns the reconstruction alone."""
    from torch import nn

    class WithCode(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            code = self.model.encode(x)
            return self.model.decode(code), code

    return WithCode().eval()


EXPORT_FORMATS: Final[dict[str, ExportFormat]] = {
    "safetensors": ExportFormat(".safetensors", write_safetensors, read_safetensors),
    "torch_export": ExportFormat(".pt2", write_torch_export, read_torch_export),
    "onnx": ExportFormat(".onnx", write_onnx, read_onnx),
}
