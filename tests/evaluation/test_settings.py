"""conf/, the schema and the help of satae-eval say the same."""

import math
import re

import pytest
import yaml
from program import ROOT

from satae import evaluate
from satae.config import ConfigError
from satae.config.option_types import describe, option_types
from satae.config.registry import EVALUATION_PARTS, choice_names
from satae.config.schema import EVALUATION, Evaluation, setting_types
from satae.messages import format_value

PARTS = EVALUATION_PARTS.names()
VALUES = yaml.safe_load((ROOT / "conf" / "eval.yaml").read_text())


def test_every_setting_has_a_value():
    assert {*VALUES} == {*setting_types(Evaluation)}
    for part in PARTS:
        assert [*EVALUATION_PARTS.defaults(part)] == [*option_types(EVALUATION_PARTS[part].build)]


def test_the_program_has_one_name():
    assert EVALUATION.program == evaluate.PROGRAM


def test_every_part_can_be_chosen():
    assert {*choice_names("evaluation")} == {*PARTS} == {entry.name for entry in EVALUATION_PARTS.entries()}
    assert [*evaluate.settings([]).parts] == PARTS
    for part in PARTS:
        assert evaluate.settings([f"evaluation={part}"]).parts.keys() == {part}
    some = evaluate.settings(["evaluation=defence,code", "evaluation=manifold"])
    assert [*some.parts] == ["code", "manifold", "defence"]
    assert [*evaluate.settings(["evaluation=code,all"]).parts] == PARTS
    assert not some.is_all


def test_radii_can_be_fractions():
    chosen = evaluate.settings(["perturbation.linf=[1/4,0.1]", "defence.epsilons=[8/255]", "seed=3"])
    assert chosen.parts["perturbation"].linf == [0.25, 0.1]
    assert chosen.parts["defence"].epsilons == [8 / 255]


def test_help_names_every_part_option_and_setting_with_its_value():
    shown = evaluate.help_text()
    for part in PARTS:
        assert f"\n  {part}: " in shown
        for option, value in EVALUATION_PARTS.defaults(part).items():
            assert re.search(rf"^    \.{option} +{re.escape(format_value(value))} ?", shown, re.MULTILINE)
    for key, value in VALUES.items():
        assert re.search(rf"^  {key} +{format_value(value)} ", shown, re.MULTILINE), key
    assert max(map(len, shown.splitlines())) <= 120


KINDS = {**setting_types(Evaluation)}
for part in PARTS:
    KINDS |= {f"{part}.{option}": kind for option, kind in option_types(EVALUATION_PARTS[part].build).items()}


@pytest.mark.parametrize("name", KINDS)
def test_a_value_beyond_either_end_of_its_range_is_refused(name):
    schema = describe(KINDS[name])
    item, form = schema.get("items", schema), "[{}]" if schema["type"] == "array" else "{}"
    if item["type"] not in ("integer", "number"):
        return
    for inclusive, exclusive, towards in (("minimum", "exclusiveMinimum", -1), ("maximum", "exclusiveMaximum", 1)):
        edge = item.get(inclusive, item.get(exclusive, towards * math.inf))
        beyond = edge if exclusive in item or math.isinf(edge) else edge + towards
        with pytest.raises(ConfigError, match=f"^{re.escape(name)}="):
            evaluate.settings([f"{name}={form.format(beyond)}"])
