"""A trained model for other programs: ``satae-export run=outputs/... format=onnx``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from satae import atomic_write as files
from satae.cli import small_program
from satae.config import ConfigError
from satae.config.messages import bad_choice, nearest
from satae.printable import first_line
from satae.runs.export_formats import FORMATS, Source
from satae.runs.layout import CONFIG_FILE, FINISHED

if TYPE_CHECKING:
    from torch import Tensor

    from satae.config import Config
    from satae.model.autoencoder import DenoisingAutoencoder

PROGRAM: Final = "satae-export"
CHECKED: Final = 256  # inputs on which what was written is compared with the model
TOLERANCE: Final = 1e-4  # of the largest difference, as a share of the largest output, or of 1 if that is less
HELP: Final = f"""\
{PROGRAM} writes the trained model of a run for other programs.

It takes inputs (N, ...) in the data's own range, any N, and gives two outputs: the reconstruction, in that range, and
the code. What was written is read back and compared with the model on validation data of the run.

  {PROGRAM} run=outputs/2026-01-31/12-00-00-000000 format=onnx

  run       a run directory
  format    safetensors     the weights, for satae.load("model.safetensors")
            torch_export    a program for torch.export.load
            onnx            for ONNX Runtime and others; needs: pip install 'satae[onnx]'
  out       the file; by default model.safetensors, model.pt2 or model.onnx in the run directory
  best      true takes the weights with the lowest validation loss, instead of the last

  --version    show the version"""


class Choices(NamedTuple):
    """What was typed."""

    run: Path
    format: str
    out: Path
    best: bool


class Exported(NamedTuple):
    """What was written; as text, a line that tells of it."""

    out: Path
    reached: str  # how far the weights were trained
    gap: float  # the largest difference from the model
    inputs: int  # on so many, and on one

    def __str__(self) -> str:
        told = f"largest difference from the model {self.gap:.2g}, on {self.inputs} validation inputs, and on one"
        return f"{self.out}: {self.reached}; {told}"


def main() -> int:
    """The entry point; returns the exit code."""
    return small_program.run(PROGRAM, HELP, lambda words: export(parse(words)), (ValueError, FileNotFoundError))


def parse(words: Sequence[str]) -> Choices:
    """What was typed, checked.

    Raises:
        ConfigError: it cannot be done.
    """
    given = dict[str, str]()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in Choices._fields:
            known = ", ".join(Choices._fields)
            raise ConfigError(f"{word}: no such option{nearest(key, Choices._fields)}; there are {known} (see --help)")
        given[key] = value
    if not given.get("run"):
        raise ConfigError("run is missing; name a run directory, such as outputs/2026-01-31/12-00-00-000000")
    if "format" not in given:
        raise ConfigError(f"format is missing; choose one of {', '.join(FORMATS)}")
    if given["format"] not in FORMATS:
        raise ConfigError(bad_choice("format", given["format"], FORMATS))
    if given.get("best", "false") not in ("true", "false"):
        raise ConfigError(f"best={given['best']}: must be true or false")
    run = Path(given["run"]).expanduser()
    name = ("model-best" if given.get("best") == "true" else "model") + FORMATS[given["format"]].suffix
    out = Path(given.get("out") or run / name).expanduser()
    if not run.is_dir():
        raise ConfigError(f"run={given['run']}: no such run directory")
    if out.exists():
        raise ConfigError(f"out={out}: is there already; name another file, or delete it")
    if not out.parent.is_dir():
        raise ConfigError(f"out={out}: there is no folder {out.parent}")
    return Choices(run, given["format"], out, given.get("best") == "true")


def export(chosen: Choices) -> Exported:
    """Write the file, and compare what it gives with the model.

    Raises:
        FileNotFoundError: no checkpoint there.
        ValueError: it cannot be read, or the data of the run, or these are others now; or the format cannot hold the
            model.
    """
    import torch

    from satae.config import saved_config
    from satae.experiment import build
    from satae.experiment.same_data import check_data, check_shape
    from satae.runs.loading import model_of, state_of

    state = state_of(chosen.run, best=chosen.best)
    model = model_of(state, str(chosen.run)).eval()
    config = saved_config.read_config(chosen.run / CONFIG_FILE)
    data = build.dataset(config)
    try:
        (check_shape if chosen.best else check_data)(state.facts, data)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{chosen.run}: cannot be compared on its data ({first_line(error)})") from None
    x = data.batch(data.valid.x[:CHECKED])
    x = x if len(x) > 1 else torch.cat([x, x])  # of a single one torch would take the size for fixed
    form = FORMATS[chosen.format]
    with tempfile.TemporaryDirectory(dir=chosen.out.parent, prefix=".export-") as folder, torch.no_grad():
        file = Path(folder) / chosen.out.name
        form.write(Source(state, model, x), file)
        apart = [difference(model, form.read(file), part) for part in (x, x[:1])]
        if not all(gap <= TOLERANCE for gap in apart):  # nan is not
            raise RuntimeError(f"what was written differs from the model by {apart}; nothing is kept")
        files.move_into_place(file, chosen.out)
    reached = _reached(chosen.run, state.step, config, len(data.train.x))
    return Exported(chosen.out, reached, max(apart), len(x))


def _reached(run: Path, step: int, config: Config, samples: int) -> str:
    """How far the weights were trained, and whether more was asked of the run."""
    from satae.runs import record
    from satae.training.fit import steps_per_epoch

    status = record.read_record(run)["status"]
    done = step // steps_per_epoch(samples, config.batch_size)
    more = "" if status == FINISHED else f"; the run has not finished ({status})"
    return f"the weights after {done} of {config.epochs} epochs, at step {step:,}{more}"


def difference(model: DenoisingAutoencoder, written: Callable[[Tensor], Sequence[Tensor]], x: Tensor) -> float:
    """The largest difference between the outputs of a model and of what was written, as a share of the largest.

    Raises:
        RuntimeError: they are of other shapes.
    """
    import torch

    found, expected = written(x), (model(x), model.encode(x))
    if [y.shape for y in found] != [y.shape for y in expected]:
        raise RuntimeError("what was written gives outputs of other shapes; nothing is kept")
    pairs = zip(found, expected, strict=True)
    gaps = [(ours - theirs).abs().max() / theirs.abs().max().clamp_min(1) for ours, theirs in pairs]
    return torch.stack(gaps).max().item()


if __name__ == "__main__":
    sys.exit(main())
