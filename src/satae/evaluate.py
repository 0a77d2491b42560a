"""What trained models are like: ``satae-eval run=outputs/... evaluation=denoising``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from satae import signals as interruption

if TYPE_CHECKING:
    from satae.config.evaluation import Evaluation

PROGRAM: Final = "satae-eval"
PARTS: Final = "evaluation="
HELP: Final = f"""\
{PROGRAM} measures what a trained model is like, beyond what training shows.

  {PROGRAM} run=outputs/2026-01-31/12-00-00-000000
  {PROGRAM} run=outputs/2026-01-31/12-00-00-000000 evaluation=denoising denoising.gaussian=[0.1,0.2]
  {PROGRAM} run=outputs/first evaluation=defence       each run of a sweep, and a table of all

  run          a run directory, a sweep, or several: run=A,B
  evaluation   all          every part; or some: evaluation=denoising,code
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
  device       auto         or cpu, cuda
  threads      null         of torch on the CPU; null takes one a core
  denoising    .gaussian=[0.05,0.1,0.15,0.3,0.5] .uniform .masking=[0.1,0.25,0.4] .salt_and_pepper    levels
  code         .near=0.05       distance from a level of the activation that counts as being there
               .jacobians=200   inputs of which the slope of the encoder is taken, at most
               .train=2000 .neighbours=5    of the classifiers of the code
  manifold     .other=auto      another data set: none digits patches mnist fashion_mnist cifar10 svhn
  perturbation .linf=[0.01,0.05,0.1] .l2=[0.1,0.5,1.0]    radii, as shares of the range of the data, or [8/255]
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
    interruption.die_quietly()  # imports take a while
    from satae.cli import app

    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # both as in satae-train
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return app.run(PROGRAM, work, help_text=HELP)


def work(words: Sequence[str]) -> str:
    """Evaluate what is asked for; what is left to be told.

    Raises:
        ConfigError: it cannot be done.
    """
    from satae.cli.options import check_run_word, read_named_runs
    from satae.config import ConfigError

    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"{word}: no such flag; options are written option=value (see --help)")
        if word.lstrip("+~").startswith(("hydra.", "hydra/")):
            raise ConfigError(f"{word}: {PROGRAM} makes no runs, so Hydra's own options have no meaning; leave it out")
        check_run_word(word)
    named = [word for word in words if word.partition("=")[0].lstrip("+~") == "run"]
    chosen = settings([word for word in words if word not in named])
    found = read_named_runs(named)
    if found.left_out:
        print(found.left_out)  # noqa: T201
    with interruption.held():  # an interrupt would be lost in imports
        from satae.evaluation.evaluating import evaluate

    return evaluate(found.runs, chosen, found.folders)


def settings(words: Sequence[str]) -> Evaluation:
    """What to measure, and how: Hydra's grammar, but for lists of parts (``evaluation=denoising,code``) and fractions.

    Args:
        words: as typed, without those that name runs.

    Raises:
        ConfigError: one of them cannot be used.
    """
    from satae.cli.compose import compose_settings  # takes longer than the help
    from satae.config.schema import EVALUATION
    from satae.config.validation import validate_evaluation

    named = [word for word in words if word.startswith(PARTS)]
    values = compose_settings([_in_decimals(word) for word in words if word not in named], EVALUATION)
    return validate_evaluation(values, [name for word in named for name in word.removeprefix(PARTS).split(",")] or None)


def _in_decimals(word: str) -> str:
    """A list with its fractions as decimals: Hydra takes 8/255 for a word."""
    key, equals, value = word.partition("=")
    if not value.startswith("["):
        return word
    return key + equals + re.sub(r"(\d+)/([1-9]\d*)", lambda found: repr(int(found[1]) / int(found[2])), value)


if __name__ == "__main__":
    sys.exit(main())
