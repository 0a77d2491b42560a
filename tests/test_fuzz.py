"""Whatever is typed is run or refused in one line: thousands of command lines, through the real configuration path."""

import contextlib
import io
import sys
from dataclasses import fields
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satae.cli import compose, plan
from satae.config.schema import GROUPS, TRAINING, Config
from satae.launchers.base import Launcher
from satae.train import main

OPTIONS = sorted(
    {item.name for item in fields(Config)}
    | {
        f"{group}.{option}"
        for group, kinds in GROUPS.items()
        for name in kinds.names()
        for option in kinds.defaults(name)
    }
    | {f"{section}.{option}" for section, options in TRAINING.sections.items() for option in options}
)
NAMES = sorted({"joblib", *{name for kinds in GROUPS.values() for name in kinds.names()}})
ODD = [
    *["", "null", "true", "~", "???", "nan", "-inf", "1e400", "1_000", "0x10", "-0", "9" * 400, "1e-320", "[]", "{}"],
    *[
        "[1,2",
        "'",
        '"',
        "\\",
        "a b",
        "$",
        "${",
        "${oc.env:HOME}",
        "${seed}",
        "${hydra:job.num}",
        "${oc.decode:1}",
        "${.}",
    ],
    *[
        "é",
        "\u202e",
        "a,b",
        "range(3)",
        "choice(1,2)",
        "interval(0,1)",
        "glob(*)",
        "shuffle(1,2)",
        "range(0)",
        "int(3)",
    ],
    *[
        "str(1)",
        "json_str(1)",
        "../../etc/passwd",
        "/dev/null",
        "[[1]]",
        "{a:{b:1}}",
        "[null]",
        "!!python/name:os.mkdir",
    ],
    *["!!python/name:os.mkdir", "&a", "_target_", "a=b=c"],
]
PREFIXES = ["", "", "", "", "+", "++", "~", "-", "--"]
KEYS = st.one_of(
    st.sampled_from(OPTIONS),
    st.sampled_from([*GROUPS, "experiment", "resume", "rerun", "hydra.run.dir", "hydra/launcher", "hydra.job.name"]),
    st.sampled_from(
        [
            *TRAINING.sections,
            "hydra",
            "hydra.launcher.n_jobs",
            "_target_",
            "act@alpha",
            "alpha.beta",
            "act/relu",
            "@",
            "=",
        ]
    ),
    st.text(max_size=8),
)
VALUES = st.one_of(
    st.sampled_from(ODD),
    st.sampled_from(NAMES),
    st.integers().map(str),
    st.floats().map(repr),
    st.lists(st.integers(-2, 600), max_size=3).map(str),
    st.text(max_size=12),
)
WORDS = st.one_of(
    st.tuples(st.sampled_from(PREFIXES), KEYS, VALUES).map(lambda word: f"{word[0]}{word[1]}={word[2]}"),
    st.sampled_from(
        ["-m", "--multirun", "--cfg", "job", "--cfg=job", "--info", "-c", "--resolve", "--version", "-n", "config"]
    ),
    st.text(max_size=10),
)


def typed(words):
    """What a command line comes to, short of building a model: its code, and what it said of an error."""

    def open_runs(plan):
        return contextlib.nullcontext((Launcher(lambda: None, None), []))

    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["satae-train", *words]),
        mock.patch.object(plan, "open_runs", open_runs),
        mock.patch.object(plan, "overall_exit_code", return_value=0),
        mock.patch.object(compose, "show_with_hydra"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main()
    return code, err.getvalue()


def check(words):
    code, message = typed(words)
    assert code in (0, 1, 2)
    if code:
        assert code == 2, message
        [line] = [line for line in message.splitlines() if not line.endswith("is given twice; the last one counts")]
        assert line.startswith("satae-train: ")


QUICKLY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "derandomize": True}


@settings(max_examples=50, **QUICKLY)
@given(st.lists(WORDS, min_size=1, max_size=4))
def test_every_command_line_is_run_or_refused_in_one_line(words):
    check(words)


@pytest.mark.slow
@settings(max_examples=3000, **QUICKLY)
@given(st.lists(WORDS, min_size=1, max_size=4))
def test_thousands_of_command_lines_are_run_or_refused_in_one_line(words):
    check(words)
