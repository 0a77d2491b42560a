"""What trained models are like: ``satae-eval run=outputs/... evaluation=denoising``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from satae.command import small_program
from satae.config import ConfigError
from satae.interruption import held
from satae.run_directory import CONFIG, OUTPUTS, RUN

PROGRAM: Final = "satae-eval"
NAMED: Final = "run"
HELP: Final = f"""\
{PROGRAM} measures what a trained model is like, beyond what training shows.

  {PROGRAM} run=outputs/2026-01-31/12-00-00-000000
  {PROGRAM} run=outputs/2026-01-31/12-00-00-000000 evaluation=denoising denoising.gaussian=[0.1,0.2]
  {PROGRAM} run=outputs/first evaluation=defence       each run of a sweep, and a table of all

  run          a run directory, a sweep, or several: run=A,B
  evaluation   all          every part
               denoising    error, PSNR and SSIM against the level of each kind of noise
               code         saturation, binarity, entropy, slope, and what is kept of the labels
               manifold     energy of the data against what is not data: AUROC
               perturbation how far an attack moves code and reconstruction, beside what is certified
               defence      a classifier behind the autoencoder under attack, and whether that can be believed

Settings
  split        test         or valid: what it is measured on
  samples      1000         inputs of the split, at most
  best         false        true takes the weights with the lowest validation loss, instead of the last
  seed         0            of all that is drawn
  batch_size   null         inputs in one pass; null for as many as fit
  device       auto         or cpu, cuda, mps
  threads      null         of torch on the CPU; null takes one a core
  denoising    .gaussian=[0.05,0.1,0.15,0.3,0.5] .uniform .masking=[0.1,0.25,0.4] .salt_and_pepper    levels
  code         .near=0.05       distance from a level of the activation that counts as being there
               .jacobians=200   inputs of which the slope of the encoder is taken, at most
               .train=2000 .neighbours=5    of the classifiers of the code
  manifold     .other=auto      another data set: none digits patches mnist fashion_mnist cifar10 svhn
  perturbation .linf=[0.01,0.05,0.1] .l2=[0.1,0.5,1.0]    radii, as shares of the range of the data
               .samples=200 .steps=50 .restarts=3
  defence      .norm=linf .epsilons=[0.02,0.05,0.1,0.2]    or l2; radii likewise
               .samples=500 .steps=50 .restarts=2 .queries=1000 .temperatures=[3,10,30,100,300]
               .control=true    attack a model with hidden gradients as well, to see whether that is noticed
               .libraries=none  attacks of others beside: autoattack, foolbox or all; pip install 'satae[attacks]'

Results go to evaluation/ in the run directory: a part's figures as JSON and CSV, pictures, TensorBoard events. What was
measured with the same weights and settings is not measured again; with others it is replaced. The last two parts train
the same model with alpha=0, and defence a classifier: once, kept where data sets are kept, as is what attacks came to.

  --version    show the version"""


def main() -> int:
    """The entry point; returns the exit code."""
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # both as in satae-train
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return small_program.run(PROGRAM, HELP, work, (ConfigError,))


def work(words: Sequence[str]) -> str:
    """Evaluate what is asked for; what is left to be told.

    Raises:
        ConfigError: it cannot be done.
    """
    from satae.command.composition import settled  # takes longer than the help
    from satae.config.evaluation import EVALUATION

    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"{word}: no such flag; options are written option=value (see --help)")
        if word.lstrip("+~").startswith(("hydra.", "hydra/")):
            raise ConfigError(f"{word}: {PROGRAM} makes no runs, so Hydra's own options have no meaning; leave it out")
    named = [word for word in words if word.partition("=")[0].lstrip("+~") == NAMED]
    chosen = settled([word for word in words if word not in named], EVALUATION)
    runs = directories(named)
    with held():  # an interrupt would be lost in imports
        from satae.evaluation.evaluating import evaluate

    return evaluate(runs, chosen)


def directories(named: Sequence[str]) -> list[Path]:
    """The run directories that words such as ``run=A,B`` name; of a sweep, those of its runs.

    Raises:
        ConfigError: there is none.
    """
    if not named:
        raise ConfigError("run is missing; name a run directory, such as outputs/2026-01-31/12-00-00-000000")
    found = dict[Path, None]()
    for word in named:
        key, equals, value = word.partition("=")
        if key != NAMED or not equals or "" in value.split(","):
            raise ConfigError(f"{word}: write run= and a run directory, such as outputs/2026-01-31/12-00-00-000000")
        for folder in _folders(value):
            found |= dict.fromkeys(_runs(folder, word))
    return [*found]


def _folders(value: str) -> list[Path]:
    """The folders in a list with commas; a name may have commas itself, as those of a sweep do."""
    parts, found = value.split(","), list[Path]()
    while parts:
        ends = range(len(parts), 0, -1)
        names = [Path(os.path.abspath(os.path.expanduser(",".join(parts[:end])))) for end in ends]
        end, folder = next((pair for pair in zip(ends, names, strict=True) if _is_there(pair[1])), (1, names[-1]))
        found.append(folder)
        parts = parts[end:]
    return found


def _runs(folder: Path, word: str) -> list[Path]:
    if not _is_there(folder):
        named = Path(OUTPUTS, folder.name)
        remedy = f"did you mean {NAMED}={named}?" if _is_there(named) else "name run directories, or a sweep"
        raise ConfigError(f"{word}: there is no folder {folder.name}; {remedy}")
    if (folder / CONFIG).is_file():
        return [folder]
    if not (runs := [path.parent for path in sorted(folder.glob(f"*/{RUN}"))]):
        raise ConfigError(f"{word}: no run in {folder.name} (no {CONFIG}); name run directories, or a sweep")
    return runs


def _is_there(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no folder can have
        return False


if __name__ == "__main__":
    sys.exit(main())
