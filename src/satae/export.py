"""Write the trained model of a run for other programs: ``satae-export run=outputs/... format=onnx``."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from satae import atomic_write, signals
from satae.cli import app
from satae.errors import ConfigError
from satae.export_codes import labels_file, write_codes
from satae.messages import did_you_mean, unknown_choice
from satae.runs.layout import CONFIG_FILE, FINISHED

if TYPE_CHECKING:
    from torch import Tensor, nn

    from satae.model.autoencoder import DenoisingAutoencoder
    from satae.training.checkpoint import State

Outputs = Sequence["Tensor"]  # the reconstruction (N, *shape) and the code (N, *code)

PROGRAM: Final = "satae-export"
COMPARED_INPUTS: Final = 256  # generated inputs on which the file is compared with the model
TOLERANCE: Final = 1e-4  # largest difference allowed, as a share of the largest output, or of 1 if that is less
OPTIONS: Final = ("run", "format", "data", "out", "best", "ema")
CODES: Final = "npy"  # the format of codes
HELP: Final = f"""\
{PROGRAM} writes the trained model of a run for other programs.

It takes inputs (N, ...) in the data's own range, any N, and gives two outputs:
the reconstruction, in that range, and the code. The file is read back and
compared with the model on random inputs in the range of the data; it needs
no data.

  {PROGRAM} run=outputs/2026-01-31/12-00-00-000000 format=onnx

  run       a run directory
  format    safetensors     the weights, for satae.load("model.safetensors")
            torch_export    a program for torch.export.load
            onnx            for ONNX Runtime and others;
                            needs: pip install 'satae[onnx]'
            npy             the codes of data=, one row for each example
  data      for format=npy: a .npy or .npz file as data=array reads it, or a
            folder of images for a run of data=folder; or train, valid or test
            for a split of the run's own data. Rows are in the order of the
            file, of the names of the images, or of the split
  out       the file, which must not exist; default: model.safetensors,
            model.pt2, model.onnx or codes.npy in the run directory. Labels go
            beside it, in codes-labels.npy
  best      true takes the weights with the lowest validation loss, instead of
            the last; default: false
  ema       true takes the moving average of the weights, of a run with ema=;
            default: false

  --version    show the version"""


def main() -> int:
    """Run ``satae-export``; returns the exit code."""
    signals.end_without_traceback()  # until the program handles signals
    return app.run(PROGRAM, run_command, help_text=HELP, refusals=(ValueError, FileNotFoundError))


class Asked(NamedTuple):
    """What a command line asks for."""

    run: Path
    format: str
    out: Path
    weights: dict[str, bool]  # which weights to take, as ``read_state`` has it
    data: str  # of which codes are written; "" for other formats


def parse(words: Sequence[str]) -> Asked:
    """Read the words of a command line.

    Raises:
        ConfigError: an option is unknown or missing, or its value cannot be used.
    """
    app.warn_of_repetition(words)
    given = dict[str, str]()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and key not in OPTIONS and (os.sep in word or os.path.isdir(word)):
            raise ConfigError(f"{word}: did you mean run={word}?")
        if key.startswith("data."):
            raise ConfigError(f"{word}: no such option; format=npy has data=, other formats read no data")
        if not equals or key not in OPTIONS:
            raise ConfigError(
                f"{word}: no such option{did_you_mean(key, OPTIONS)}; there are {', '.join(OPTIONS)} (see --help)"
            )
        given[key] = value
    if not given.get("run"):
        raise ConfigError("run is missing; name a run directory, such as outputs/2026-01-31/12-00-00-000000")
    formats = [*EXPORT_FORMATS, CODES]
    if "format" not in given:
        raise ConfigError(f"format is missing; choose one of {', '.join(formats)}")
    if given["format"] not in formats:
        raise ConfigError(unknown_choice("format", given["format"], formats))
    if given["format"] == CODES and not given.get("data"):
        raise ConfigError("data is missing; format=npy writes the codes of data=x.npy, or of data=test, for example")
    if given["format"] != CODES and "data" in given:
        raise ConfigError(f"data={given['data']}: is for format=npy; leave it out")
    weights = {key: given.get(key) == "true" for key in ("best", "ema")}
    for key in weights:
        if given.get(key, "false") not in ("true", "false"):
            raise ConfigError(f"{key}={given[key]}: must be true or false")
    run, kind = Path(os.path.expanduser(given["run"])), next((f"-{key}" for key in weights if weights[key]), "")
    what, suffix = ("codes", ".npy") if given["format"] == CODES else ("model", EXPORT_FORMATS[given["format"]].suffix)
    name = f"{what}{kind}{suffix}"
    out = Path(os.path.expanduser(given.get("out") or run / name))
    if not run.is_dir():
        raise ConfigError(f"run={given['run']}: no such run directory")
    if given["format"] == CODES and out.suffix != ".npy":
        raise ConfigError(f"out={out}: must end in .npy")
    for file in (out, *([labels_file(out)] if given["format"] == CODES else [])):
        if os.path.lexists(file):
            raise ConfigError(f"out={file}: exists already; name another file, or delete it")
    if not out.parent.is_dir():
        raise ConfigError(f"out={out}: there is no folder {out.parent}")
    return Asked(run, given["format"], out, weights, given.get("data", ""))


def run_command(words: Sequence[str]) -> str:
    """Write the file that the words of a command line ask for; returns the line to print.

    The outputs of the file are compared with the model's. The line names the file, how far its weights were trained,
    and the largest difference.

    Raises:
        FileNotFoundError: the run has no checkpoint.
        ValueError: the checkpoint cannot be read, or the format cannot hold the model.
        RuntimeError: the file gives other outputs than the model; it is not kept.
    """
    run, name, out, weights, codes_of = parse(words)
    if name == CODES:
        return write_codes(run, out, codes_of, weights)
    import torch

    from satae.config import saved_config
    from satae.data.array_units import UNIT_FACTS
    from satae.runs.loading import read_state, restore_model
    from satae.runs.record import read_record

    state = read_state(run, **weights)
    model = restore_model(state, str(run)).eval()
    config = saved_config.read_config(run / CONFIG_FILE)
    record = read_record(run)
    x = generate_inputs(model, tuple(state.facts["shape"]), record)
    data = record.get("data")
    units = {key: data[key] for key in UNIT_FACTS if key in data} if isinstance(data, dict) else {}
    state = state.with_facts(units=units)
    form = EXPORT_FORMATS[name]
    with atomic_write.hidden_folder(out.parent, "export") as folder, torch.no_grad():
        file = folder / out.name
        form.write(file, state, model, x)
        exported = form.read(file)
        differences = [largest_difference(model, exported, part) for part in (x, x[:1])]
        if not all(difference <= TOLERANCE for difference in differences):  # also refuses nan
            raise RuntimeError(f"the file differs from the model by {differences}; it is not kept")
        atomic_write.move_into_place(file, out)
    done, status = describe_epochs(state, record, config.batch_size, config.epochs), record["status"]
    unfinished = "" if status == FINISHED else f"; the run has not finished ({status})"
    return (
        f"{out}: the weights {done}at step {state.step:,}{unfinished}; largest difference from the model"
        f" {max(differences):.2g}, on {len(x)} random inputs at once, and on one of them alone"
    )


def generate_inputs(model: DenoisingAutoencoder, shape: tuple[int, ...], record: Mapping[str, Any]) -> Tensor:
    """Random inputs (``COMPARED_INPUTS``, *shape), uniform in the range of the data.

    The record of a run says what the range is. Records of early versions do not; then it is that of three standard
    deviations around the mean, element by element.
    """
    import torch

    x = torch.rand(COMPARED_INPUTS, *shape, generator=torch.Generator().manual_seed(0))
    data = record.get("data")
    span = data.get("span") if isinstance(data, dict) else None
    if isinstance(span, list) and len(span) == 2 and all(type(end) in (int, float) for end in span):
        return x.mul(span[1] - span[0]).add(span[0])
    return model.mean + model.std * (6 * x - 3)


def describe_epochs(state: State, record: Mapping[str, Any], batch_size: int, epochs: int) -> str:
    """How far the weights were trained: ``"after 2 of 3 epochs, "``; "" if the number of training inputs is unknown."""
    from satae.training.loop import steps_per_epoch

    data = record.get("data")
    samples = state.facts.get("samples") or (data.get("train") if isinstance(data, dict) else None)
    if type(samples) is not int or samples < 1:
        return ""
    return f"after {state.step // steps_per_epoch(samples, batch_size)} of {epochs} epochs, "


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
    checkpoint.save(path, checkpoint.State({key: state.facts[key] for key in ("config", "shape", "units")}, weights))


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
