"""conf/, the schema and the help of satae-eval say the same."""

import math
import re
from dataclasses import fields

import pytest
import yaml
from program import ROOT

from satae import evaluate
from satae.cli.compose import settled
from satae.cli.overrides import names
from satae.config import ConfigError
from satae.config.evaluation import ALL, EVALUATION, OTHERS, PARTS, Evaluation
from satae.config.messages import own_options, show
from satae.config.option_types import MISSING
from satae.config.registries import DATA_SOURCES

VALUES = yaml.safe_load((ROOT / "conf" / "eval.yaml").read_text())


def test_there_is_a_value_for_each_setting():
    assert {*VALUES} - {"defaults"} | {"evaluation"} == {item.name for item in fields(Evaluation)}
    for part, kind in PARTS.items():
        assert [*VALUES[part]] == own_options(kind)


def test_the_program_has_one_name():
    assert EVALUATION.program == evaluate.PROGRAM


def test_every_part_can_be_chosen():
    assert {*names("evaluation")} == {ALL, *PARTS}
    assert settled([], EVALUATION).parts == [*PARTS]
    for part in PARTS:
        assert evaluate.settings([f"evaluation={part}"]).parts == [part]
    some = evaluate.settings(["evaluation=defence,code", "evaluation=manifold"])
    assert some.parts == ["code", "manifold", "defence"]
    assert evaluate.settings(["evaluation=code,all"]).parts == [*PARTS]
    assert not some.is_all


def test_radii_can_be_fractions():
    chosen = evaluate.settings(["perturbation.linf=[1/4,0.1]", "defence.epsilons=[8/255]", "seed=3"])
    assert chosen.perturbation.linf == [0.25, 0.1]
    assert chosen.defence.epsilons == [8 / 255]


def test_the_help_tells_of_every_part_and_setting_and_gives_its_value():
    for part in PARTS:
        assert re.search(rf"^ +(evaluation   all.*\n +)?{part}    |^ +{part} +", evaluate.HELP, re.MULTILINE)
        for option in own_options(PARTS[part]):
            assert f".{option}" in evaluate.HELP
    for key in ("split", "samples", "best", "seed", "batch_size", "device", "threads"):
        assert re.search(rf"^  {key} +{show(VALUES[key])} ", evaluate.HELP, re.MULTILINE), key


def test_other_data_sets_are_those_that_need_no_path():
    known = {name for name in DATA_SOURCES.names() if MISSING not in DATA_SOURCES.defaults(name).values()}
    assert {*OTHERS} == known - {"manifold"}


@pytest.mark.parametrize(
    ("name", "item"),
    [
        (f"{prefix}{item.name}", item)
        for prefix, kind in [("", Evaluation), *((f"{part}.", kind) for part, kind in PARTS.items())]
        for item in fields(kind)
        if "low" in item.metadata
    ],
)
def test_a_range_is_kept_at_both_ends(name, item):
    rules, form = item.metadata, "[{}]" if "list" in str(item.type) else "{}"
    for end, towards, leaves_out in (("low", -1, rules["above"]), ("high", 1, rules["below"])):
        edge = rules[end]
        beyond = edge if leaves_out or math.isinf(edge) else edge + towards
        with pytest.raises(ConfigError, match=f"^{re.escape(name)}="):
            settled([f"{name}={form.format(beyond)}"], EVALUATION)
