"""Stored configurations as overrides, and what resume= and rerun= refuse."""

import argparse
import contextlib
import shlex
from dataclasses import replace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from program import TINY, files, here

from satae import evaluate, export, report
from satae.cli.app import warn_of_repetition
from satae.cli.compose import compose_runs
from satae.cli.overrides import config_overrides
from satae.cli.plan import make_plan
from satae.cli.typed_text import quote_value
from satae.config import ConfigError
from satae.config.option_types import MISSING
from satae.config.schema import GROUPS


def composed(words):
    ((run,), _) = compose_runs(words)
    return run.config


@pytest.fixture(scope="module")
def smooth():
    """A configuration whose complement suits every activation."""
    return composed(["alpha=1e-05", "complement=input"])


@pytest.mark.parametrize("group", GROUPS)
def test_the_overrides_of_a_configuration_compose_to_it(group, smooth):
    registry = GROUPS[group]
    for name in registry.names():
        options = {key: "x" if value == MISSING else value for key, value in registry.defaults(name).items()}
        config = replace(smooth, **{group: registry.choice(name, options)})
        assert composed(config_overrides(config)) == config


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: "${" not in text))
def test_any_file_name_is_quoted_and_parsed_back(name):
    (override,) = OverridesParser.create().parse_overrides([f"data.path={quote_value(name)}"])
    assert override.value() == name


@pytest.mark.parametrize("name", ["it's", 'a "b" \\', "$x, [1] {b: c}=d", "null", "1e3", " é\u202e "])
def test_a_file_name_is_quoted_and_composed_back(name):
    assert composed(["data=array", f"data.path={quote_value(name)}"]).data.path == name


HOSTILE = {
    "a tag": "!!python/object/apply:os.mkdir [mark]",
    "a tag in it": "alpha: !!python/object/apply:os.mkdir [mark]\n",
    "a bomb": "a: &a [x, x]\nb: &b [*a, *a]\nalpha: *b\n",
    "an interpolation": "alpha: ${oc.env:HOME}\n",
    "a target": "_target_: os.mkdir\npath: mark\n",
    "a target in a group": "act:\n  name: relu\n  _target_: os.mkdir\n",
    "a path in a name": "act:\n  name: ../../../etc/passwd\n",
    "deep nesting": "[" * 10_000,
    "not a mapping": "[1, 2]",
    "nothing": "",
    "not text": "\udcff",
    "a huge number": "alpha: " + "9" * 5000 + "\n",
    "a huge file": "# " + "x" * 2**20,
    "odd keys": "? [1, 2]\n: 3\n",
    "a missing choice": "alpha: 1\n",
}


@pytest.mark.parametrize("word", ["resume", "rerun"])
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_configuration_runs_nothing_and_gives_one_line(tmp_path, word, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_bytes(content.encode("utf-8", "surrogateescape"))
    outcome = here(tmp_path, f"{word}=run")
    assert outcome.code == 2, outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert f"{tmp_path}/run/config.yaml: " in outcome.err
    assert files(tmp_path) == ["run", "run/config.yaml"]


def test_names_with_spaces_and_quotes_are_printed_as_they_are_typed(tmp_path):
    assert shlex.split(shlex.quote("it's here")) == ["it's here"]
    outcome = here(tmp_path, "resume=it's not here")
    assert outcome.err.startswith("satae-train: resume=it's not here: no run there")


def test_hydras_own_record_of_a_run_is_written_where_the_user_asks_for_it(tmp_path):
    assert here(tmp_path, *TINY, "hydra.run.dir=run", "hydra.output_subdir=.hydra").code == 0
    run = tmp_path / "run"
    assert (run / ".hydra" / "config.yaml").read_text() == (run / "config.yaml").read_text()
    assert "hydra" not in (run / ".hydra" / "overrides.yaml").read_text()


@pytest.mark.parametrize("name", ["it's a file", "null", "[1,2]"])
def test_an_interpolated_word_is_recorded_so_that_it_can_be_typed_again(monkeypatch, name):
    monkeypatch.setenv("PLACE", name)
    words = ["data=array", "data.path=${oc.env:PLACE}"]
    flags = argparse.Namespace(overrides=words, multirun=False, config_name=None, config_dir=None)
    recorded = make_plan(flags, "satae-train").jobs[0].overrides
    assert recorded[0] == "data=array"
    assert OverridesParser.create().parse_overrides(recorded)[1].value() == name


@pytest.mark.parametrize(
    "words",
    [
        ["alpha=0.1", "alpha=0.2"],
        ["act=relu", "epochs=1", "act=tanh"],
        ["noise.level=0.1", "noise.level=0.1"],
        ["alpha=0.1", "+alpha=0.2"],
        ["-m", "seed=0,1", "seed=range(3)"],
        ["sweep=first", "alpha=0,1", "alpha=0.1"],
        ["experiment=paper/toy_satlin", "experiment=paper/toy_shrink"],
        ["-m", "seed=0,1", "fail_fast=true", "fail_fast=false"],
    ],
)
def test_an_option_that_is_typed_twice_is_reported(capsys, words):
    warn_of_repetition(words)
    first, second = [
        word
        for word in words
        if [other.split("=")[0].strip("+") for other in words].count(word.split("=")[0].strip("+")) == 2
    ]
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {first} {second}: ")
    assert line.endswith("is given twice; the last one counts")


def test_the_last_of_two_values_counts(capsys):
    flags = argparse.Namespace(overrides=["alpha=0.1", "alpha=0.2"], multirun=False, config_name=None, config_dir=None)
    assert make_plan(flags, "satae-train").jobs[0].config.alpha == 0.2
    assert "alpha is given twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parse", "words"),
    [
        (evaluate.settings, ["samples=1", "samples=2"]),
        (report.parse_words, ["folder", "out=a", "out=b"]),
        (export.parse, ["run=a", "format=onnx", "run=b"]),
    ],
)
def test_the_other_programs_report_an_option_that_is_typed_twice(capsys, parse, words):
    with contextlib.suppress(ConfigError):  # there is no such folder
        parse(words)
    assert "is given twice; the last one counts" in capsys.readouterr().err


def test_a_stored_configuration_is_no_repetition(tmp_path):
    words = ["epochs=1", "alpha=0.1"]
    assert here(tmp_path, *TINY, *words, "hydra.run.dir=run").code == 0
    assert here(tmp_path, "resume=run", "epochs=2").code == 0
    assert here(tmp_path, "rerun=run", "alpha=0.2", "epochs=1").code == 0
