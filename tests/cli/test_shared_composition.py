"""Hydra composes the runs of a sweep that differ in plain values once; each is as if it were composed alone."""

import pytest
from omegaconf import OmegaConf

from satae.cli import compose
from satae.cli.compose import ComposedRun
from satae.errors import ConfigError


@pytest.fixture
def compositions(monkeypatch):
    """The words of each composition."""
    found, real = [], compose.compose

    def composed(primary, words, **options):
        found.append(words)
        return real(primary, words, **options)

    monkeypatch.setattr(compose, "compose", composed)
    return found


def without_unread_text(options):
    """The options without the text of all overrides, which stays that of the first run where nothing reads it."""
    options = OmegaConf.create(options)
    options.get("job", {}).pop("override_dirname", None)
    return options


@pytest.mark.parametrize("seeds", [2, 20])
def test_a_sweep_is_composed_once_for_each_choice_however_many_values_it_has(compositions, seeds):
    runs, _ = compose.compose_runs(["act=relu,tanh", "alpha=0,0.1", f"seed=range({seeds})"], multirun=True)
    assert (len(runs), len(compositions)) == (4 * seeds, 2)


@pytest.mark.parametrize(
    "words",
    [
        ["alpha=0,0.1", "seed=1,2", "optim.lr=0.01,0.1"],
        ["arch.widths=[8],[8,4],[4]", "noise.level=0.1,0.2"],
        ["epochs=${seed}", "seed=3,4"],
        ["checkpoint={keep:1},{every_steps:5}", "alpha=0,0.1"],
        ["checkpoint.keep=1,2", "checkpoint={keep:7}"],
        ["noise=gaussian,none,adversarial", "alpha=0,0.1"],
        ["act=shrink,relu", "seed=1,2"],
        ["alpha=0,0.1", "+hydra.job.env_set.A=${alpha}"],
        ["seed=1,2", "hydra.job_logging.handlers.file.filename=${hydra.job.num}-${hydra.job.override_dirname}.log"],
        [
            "seed=1,2",
            "hydra.job_logging.handlers.file.filename='${hydra:runtime.output_dir}/${alpha}.log'",
            "alpha=3,4",
        ],
        ["data=array", "data.path='a b','${oc.env:HOME}'"],
    ],
    ids=" ".join,
)
def test_a_run_of_a_sweep_is_as_if_it_were_composed_alone(words, monkeypatch, tmp_path):
    words = [*words, f"hydra.sweep.dir={tmp_path}"]
    shared, _ = compose.compose_runs(words, multirun=True)
    monkeypatch.setattr(compose, "_sets_plain_value", lambda override: False)
    alone, _ = compose.compose_runs(words, multirun=True)
    for one, other in zip(reversed(shared), reversed(alone), strict=True):
        assert (one.config, one.overrides, one.folder) == (other.config, other.overrides, other.folder)
        for options in (ComposedRun.process_options, ComposedRun.launcher_options):
            assert without_unread_text(options(one, tmp_path)) == without_unread_text(options(other, tmp_path))
    assert shared[0].multirun_text(words, tmp_path) == alone[0].multirun_text(words, tmp_path)


@pytest.mark.parametrize(
    "words", [["alpha=0,-1"], ["alpha=0,x"], ["act=relu,tanh", "act.threshold=1,2"], ["seed=1,${x"]]
)
def test_a_value_that_cannot_be_used_is_refused_as_if_it_were_alone(words, monkeypatch):
    def refusal():
        with pytest.raises(ConfigError) as error:
            compose.compose_runs(words, multirun=True)
        return str(error.value)

    shared = refusal()
    monkeypatch.setattr(compose, "_sets_plain_value", lambda override: False)
    assert shared == refusal()
