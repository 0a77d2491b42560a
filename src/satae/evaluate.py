"""Measure what trained models are like: ``satae-eval run=outputs/... evaluation=denoising``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from satae import signals

if TYPE_CHECKING:
    from satae.config.schema import Evaluation

PROGRAM: Final = "satae-eval"
HELP: Final = """\
satae-eval measures what a trained model is like, beyond what training shows.

  satae-eval run=outputs/2026-01-31/12-00-00-000000 evaluation=denoising
  satae-eval run=RUN evaluation=denoising 'denoising.gaussian=[0.1,0.2]'
  satae-eval run=RUN
      all parts, which takes minutes for the digits and longer for larger data
  satae-eval run=outputs/first evaluation=defence
      each run of a sweep, and a table of all

  run          a run directory, a sweep, or several: run=A,B
  evaluation   all, or some parts: evaluation=denoising,code
  data.path    where the data of the run lie now, if they have moved

Settings
$settings

Parts and their options, such as denoising.gaussian=[0.1,0.2]
$parts

Results go to evaluation/ in the run directory: numbers as JSON and CSV,
pictures, TensorBoard events. A part that was measured with the same weights and
settings is not measured again; a result with other settings is replaced. The
parts perturbation and defence train the same model with alpha=0 (the twin) on
first use, which takes as long as the run itself, and defence a classifier.
These models, and the outcomes of attacks, are stored beside the data sets and
used again.

  --version    show the version"""


def main() -> int:
    """Run ``satae-eval``; returns the exit code."""
    signals.end_without_traceback()  # imports take a while
    from satae.cli import app

    return app.run(PROGRAM, run_command, help_text=help_text)


def help_text() -> str:
    """The help, with every setting, part and option in ``conf/``."""
    from satae.cli.flags import describe_parts, describe_settings
    from satae.config.registry import EVALUATION_PARTS, conf_text

    settings = describe_settings(conf_text("eval.yaml"), "  ")
    return Template(HELP).substitute(settings=settings, parts=describe_parts(EVALUATION_PARTS))


def run_command(words: Sequence[str]) -> str:
    """Evaluate the runs that the words of a command line name; returns the lines to print.

    Raises:
        ConfigError: a word cannot be used, or a run cannot be evaluated.
    """
    from satae.config import ConfigError
    from satae.config.schema import key_of
    from satae.evaluation.named_runs import read_named_runs
    from satae.messages import printable
    from satae.page.sources import waiting_lines

    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"{word}: no such flag; options are written option=value (see --help)")
        if key_of(word).startswith(("hydra.", "hydra/")):
            raise ConfigError(f"{word}: {PROGRAM} makes no runs, so Hydra's own options have no meaning; leave it out")
        if "=" not in word and word != "run" and (os.sep in word or os.path.isdir(word)):
            raise ConfigError(f"{word}: did you mean run={word}?")
    named = [word for word in words if key_of(word) == "run"]
    moved = [word for word in words if word.startswith("data.")]
    paths = data_paths(moved)
    chosen = settings([word for word in words if word not in [*named, *moved]])
    found = read_named_runs(named)
    if found.left_out:
        print(printable(found.left_out))  # noqa: T201
    for line in waiting_lines(found.folders):
        print(printable(line))  # noqa: T201
    with signals.hold_signals():  # an import would swallow an interrupt
        from satae.evaluation.runner import evaluate_runs

    return evaluate_runs(found.runs, chosen, found.folders, paths)


def data_paths(words: Sequence[str]) -> dict[str, str]:
    """Read where the data of the runs lie now, by option.

    Raises:
        ConfigError: a word is not the name of a file or folder of data.
    """
    from satae.config import ConfigError
    from satae.config.schema import all_path_options
    from satae.messages import did_you_mean

    known = sorted(all_path_options()) if words else []
    for word in words:
        key, _, value = word.partition("=")
        if key not in known or not value:
            remedy = f"the data of a run are named by {', '.join(known)}"
            raise ConfigError(f"{word}: no such option{did_you_mean(key, known)}; {remedy}")
    return {
        key: str(Path(os.path.expanduser(value)).absolute())
        for key, _, value in (word.partition("=") for word in words)
    }


def settings(words: Sequence[str]) -> Evaluation:
    """Compose and check what to measure, and how.

    The grammar is Hydra's, and lists of parts (``evaluation=denoising,code``) and fractions (``[8/255]``) besides.

    Raises:
        ConfigError: a word cannot be used.
    """
    from satae.cli.compose import compose_settings  # takes longer than the help
    from satae.config.schema import EVALUATION, validate_evaluation

    named = [word for word in words if word.startswith("evaluation=")]
    values = compose_settings([_with_decimals(word) for word in words if word not in named], EVALUATION)
    return validate_evaluation(values, [name for word in named for name in word.partition("=")[2].split(",")] or None)


def _with_decimals(word: str) -> str:
    """Write the fractions of a list as decimals, since Hydra takes 8/255 for a word."""
    key, equals, value = word.partition("=")
    if not value.startswith("["):
        return word
    return key + equals + re.sub(r"(\d+)/([1-9]\d*)", lambda found: repr(int(found[1]) / int(found[2])), value)


if __name__ == "__main__":
    sys.exit(main())
