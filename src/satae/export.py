"""Write the trained model of a run for other programs: ``satae-export run=outputs/... format=onnx``."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from satae import atomic_write
from satae.cli import app
from satae.config import ConfigError
from satae.messages import did_you_mean, first_line, unknown_choice
from satae.runs.layout import CONFIG_FILE, FINISHED

if TYPE_CHECKING:
    from torch import Tensor, nn

    from satae.model.autoencoder import DenoisingAutoencoder
    from satae.training.checkpoint import State

Outputs = Sequence["Tensor"]  # the reconstruction (N, *shape) and the code (N, *code)

PROGRAM: Final = "satae-export"
COMPARED_INPUTS: Final = 256  # validation inputs on which the file is compared with the model
TOLERANCE: Final = 1e-4  # largest difference allowed, as a share of the largest output, or of 1 if that is less
OPTIONS: Final = ("run", "format", "out", "best")
HELP: Final = f"""\
{PROGRAM} writes the trained model of a run for other programs.

It takes inputs (N, ...) in the data's own range, any N, and gives two outputs:
the reconstruction, in that range, and the code. The file is read back and
compared with the model on validation data of the run.

  {PROGRAM} run=outputs/2026-01-31/12-00-00-000000 format=onnx

  run       a run directory
  format    safetensors     the weights, for satae.load("model.safetensors")
            torch_export    a program for torch.export.load
            onnx            for ONNX Runtime and others;
                            needs: pip install 'satae[onnx]'
  out       the file; by default model.safetensors, model.pt2 or model.onnx in
            the run directory
  best      true takes the weights with the lowest validation loss, instead of
            the last

  --version    show the version"""


def main() -> int:
    """Run ``satae-export``; returns the exit code."""
    return app.run(PROGRAM, export, help_text=HELP, refusals=(ValueError, FileNotFoundError))


def parse(words: Sequence[str]) -> tuple[Path, str, Path, bool]:
    """The run directory, the format, the file to write, and whether to take the best weights.

    Raises:
        ConfigError: an option is unknown or missing, or its value cannot be used.
    """
    given = dict[str, str]()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in OPTIONS:
            raise ConfigError(
                f"{word}: no such option{did_you_mean(key, OPTIONS)}; there are {', '.join(OPTIONS)} (see --help)"
            )
        given[key] = value
    if not given.get("run"):
        raise ConfigError("run is missing; name a run directory, such as outputs/2026-01-31/12-00-00-000000")
    if "format" not in given:
        raise ConfigError(f"format is missing; choose one of {', '.join(EXPORT_FORMATS)}")
    if given["format"] not in EXPORT_FORMATS:
        raise ConfigError(unknown_choice("format", given["format"], EXPORT_FORMATS))
    if given.get("best", "false") not in ("true", "false"):
        raise ConfigError(f"best={given['best']}: must be true or false")
    run, best = Path(given["run"]).expanduser(), given.get("best") == "true"
    name = ("model-best" if best else "model") + EXPORT_FORMATS[given["format"]].suffix
    out = Path(given.get("out") or run / name).expanduser()
    if not run.is_dir():
        raise ConfigError(f"run={given['run']}: no such run directory")
    if os.path.lexists(out):
        raise ConfigError(f"out={out}: exists already; name another file, or delete it")
    if not out.parent.is_dir():
        raise ConfigError(f"out={out}: there is no folder {out.parent}")
    return run, given["format"], out, best


def export(words: Sequence[str]) -> str:
    """Write the file that the words ask for, and compare its outputs with the model's.

    Returns:
        A line for the user: the file, how far its weights were trained, and the largest difference.

    Raises:
        FileNotFoundError: the run has no checkpoint.
        ValueError: the checkpoint or the data of the run cannot be read, the data have changed, or the format cannot
            hold the model.
        RuntimeError: the file gives other outputs than the model; it is not kept.
    """
    run, name, out, best = parse(words)
    import torch

    from satae.config import saved_config
    from satae.experiment import build
    from satae.experiment.experiment import check_data, check_shape
    from satae.runs.loading import read_state, restore_model
    from satae.runs.record import read_record
    from satae.training.loop import steps_per_epoch

    state = read_state(run, best=best)
    model = restore_model(state, str(run)).eval()
    config = saved_config.read_config(run / CONFIG_FILE)
    data = build.dataset(config)
    try:
        (check_shape if best else check_data)(state.facts, data)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{run}: cannot be compared on its data ({first_line(error)})") from None
    x = data.batch(data.valid.x[:COMPARED_INPUTS])
    x = x if len(x) > 1 else torch.cat([x, x])  # for a single input torch would fix the number of inputs to one
    form = EXPORT_FORMATS[name]
    with atomic_write.hidden_folder(out.parent, "export") as folder, torch.no_grad():
        file = folder / out.name
        form.write(file, state, model, x)
        differences = [largest_difference(model, form.read(file), part) for part in (x, x[:1])]
        if not all(difference <= TOLERANCE for difference in differences):  # also refuses nan
            raise RuntimeError(f"the file differs from the model by {differences}; it is not kept")
        atomic_write.move_into_place(file, out)
    epochs = state.step // steps_per_epoch(len(data.train.x), config.batch_size)
    status = read_record(run)["status"]
    unfinished = "" if status == FINISHED else f"; the run has not finished ({status})"
    return (
        f"{out}: the weights after {epochs} of {config.epochs} epochs, at step {state.step:,}{unfinished}; largest"
        f" difference from the model {max(differences):.2g}, on {len(x)} validation inputs together and on one alone"
    )


def largest_difference(model: DenoisingAutoencoder, exported: Callable[[Tensor], Outputs], x: Tensor) -> float:
    """The largest difference between the outputs of two models, as a share of the largest output, or of 1.

    Raises:
        RuntimeError: the outputs have other shapes.
    """
    import torch

    found, expected = exported(x), (model(x), model.encode(x))
    if [y.shape for y in found] != [y.shape for y in expected]:
        raise RuntimeError("the file gives outputs of other shapes; it is not kept")
    pairs = zip(found, expected, strict=True)
    return torch.stack([(ours - y).abs().max() / y.abs().max().clamp_min(1) for ours, y in pairs]).max().item()


class ExportFormat(NamedTuple):
    """How to write one kind of file, and how to run the model in it."""

    suffix: str
    write: Callable[[Path, State, DenoisingAutoencoder, Tensor], None]  # path, checkpoint, model, example inputs
    read: Callable[[Path], Callable[[Tensor], Outputs]]  # path -> a function of the inputs


def _write_safetensors(path: Path, state: State, model: DenoisingAutoencoder, x: Tensor) -> None:
    """Write the weights, with the facts that ``satae.load`` needs to build the model."""
    from satae.training import checkpoint

    weights = {name: tensor for name, tensor in state.tensors.items() if name.startswith("model/")}
    checkpoint.save(path, checkpoint.State({key: state.facts[key] for key in ("config", "shape")}, weights))


def _read_safetensors(path: Path) -> Callable[[Tensor], Outputs]:
    """Load the weights into a model."""
    from satae.runs.loading import load

    model = load(path)
    return lambda x: (model(x), model.encode(x))


def _write_torch_export(path: Path, state: State, model: DenoisingAutoencoder, x: Tensor) -> None:
    """Write a program for ``torch.export.load`` that takes any number of inputs."""
    import torch

    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(_with_code(model), (x,), dynamic_shapes={"x": {0: batch}}), path)


def _read_torch_export(path: Path) -> Callable[[Tensor], Outputs]:
    """Load the program."""
    import torch

    program: Callable[[Tensor], Outputs] = torch.export.load(path).module()
    return program


def _write_onnx(path: Path, state: State, model: DenoisingAutoencoder, x: Tensor) -> None:
    """Write an ONNX model that takes any number of inputs.

    Raises:
        ConfigError: the packages that this needs are not installed.
    """
    import torch

    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise ConfigError("format=onnx: needs onnxruntime and onnxscript; pip install 'satae[onnx]'") from None
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


def _read_onnx(path: Path) -> Callable[[Tensor], Outputs]:
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
    "safetensors": ExportFormat(".safetensors", _write_safetensors, _read_safetensors),
    "torch_export": ExportFormat(".pt2", _write_torch_export, _read_torch_export),
    "onnx": ExportFormat(".onnx", _write_onnx, _read_onnx),
}


if __name__ == "__main__":
    sys.exit(main())
