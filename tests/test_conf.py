"""conf/, the schema and the code say the same: no choice is missing in any of them, and none drifts."""

import inspect
import math
import re
from dataclasses import asdict, fields

import numpy
import pytest
import torch
import yaml
from program import ROOT

from satae.cli import compose as composition
from satae.cli.overrides import names
from satae.config import Config, ConfigError, options, validate
from satae.config.messages import own_options
from satae.config.registries import DATA_SOURCES
from satae.config.schema import GROUPS, PRESETS
from satae.data.published import is_complete, published_sets
from satae.experiment import build
from satae.model.activations import ACTIVATIONS, FLATNESS
from satae.model.architectures import ARCHITECTURES
from satae.model.complement import READINGS
from satae.model.noise import NOISES
from satae.training.schedule import SCHEDULES

TABLES = {
    "act": ACTIVATIONS,
    "arch": ARCHITECTURES,
    "data": {entry.name: entry.build for entry in DATA_SOURCES.entries()},
    "noise": NOISES,
    "optim": build.OPTIMISERS,
}
CHOICES = [(group, name) for group, kinds in GROUPS.items() for name in kinds]
LISTS = ("widths", "channels", "span")
PLAIN = ROOT / "conf" / "config.yaml"


def only(*words):
    return composition.planned(words).runs[0].config


def needed(group, name):
    """The options for which there is no value in ``conf/``."""
    values = yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text())
    return [option for option, value in values.items() if value == "???"]


def fitting(group, name, value="somewhere"):
    """The overrides that choose a name, with what it needs beside it."""
    not_monotone = name in ACTIVATIONS and not FLATNESS[type(ACTIVATIONS[name]())].monotone
    others = [f"{group}.{option}={value}" for option in needed(group, name)]
    return [f"{group}={name}", *others, *(["complement=input"] if not_monotone else [])]


def all_fields():
    """Every field of the schema that has a range: an override that chooses it, its dotted name, itself."""
    found = {("", item.name): ([], item) for item in fields(Config)}
    for group, name in CHOICES:
        for item in fields(GROUPS[group][name]):
            found.setdefault((group, item.name, repr(item.metadata)), (fitting(group, name), item))
    named = [(words, ".".join(filter(None, key[:2])), item) for key, (words, item) in found.items()]
    return [
        pytest.param(*field, id=f"{'_'.join(field[0])}-{field[1]}")
        for field in named
        if {"low", "choices"} & {*field[2].metadata}
    ]


@pytest.fixture
def data_of_ones_own(tmp_path):
    """For a source, what the user names: a file, a folder."""
    from datasets import Dataset
    from PIL import Image

    numpy.save(tmp_path / "x.npy", numpy.linspace(0, 1, 80, dtype="float32").reshape(20, 4))
    (tmp_path / "images").mkdir()
    pictures = [Image.new("L", (9, 9), grey) for grey in range(20)]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / "images" / f"{number}.png")
    Dataset.from_dict({"image": pictures}).save_to_disk(tmp_path / "hub")
    return {"array": tmp_path / "x.npy", "folder": tmp_path / "images", "hf": tmp_path / "hub"}


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_composes_and_builds(group, name, request):
    if needed(group, name):
        config = only(*fitting(group, name, request.getfixturevalue("data_of_ones_own")[name]))
    else:
        config = only(*fitting(group, name))
    assert getattr(config, group).name == name
    if group == "data" and name in published_sets() and not is_complete(published_sets()[name]):
        pytest.skip(f"{name} is not on this machine: satae-data fetch {name}")
    build.check(config)


@pytest.mark.parametrize("group", GROUPS)
def test_every_name_of_the_schema_has_a_file_and_a_constructor_and_the_reverse(group):
    assert {*names(group)} == {*GROUPS[group]} == {*TABLES[group]}


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_a_file_holds_its_name_and_a_value_for_each_option(group, name):
    values = yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text())
    assert values.pop("name") == name
    assert sorted(values) == sorted(own_options(GROUPS[group][name]))


def test_the_plain_configuration_holds_a_value_for_each_setting():
    values = yaml.safe_load(PLAIN.read_text())
    assert {*values} - {"defaults", "hydra"} | {*GROUPS} == {item.name for item in fields(Config)}
    assert {next(iter(default)) for default in values["defaults"] if default != "_self_"} == {*GROUPS, PRESETS}


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_options_are_keyword_arguments_of_what_a_name_stands_for(group, name):
    made = TABLES[group][name]
    parameters = inspect.signature(made).parameters
    given = {*options(getattr(only(*fitting(group, name)), group))}
    assert given <= {*parameters}
    ours = getattr(made, "__module__", "").startswith("satae.")
    handed_on = {"shape", "act", "x", "generator", "span"}  # by build, not from the configuration
    assert not ours or {*parameters} - handed_on <= given


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, n in CHOICES if g in ("arch", "data")])
def test_defaults_in_the_library_are_those_in_conf(group, name):
    parameters = inspect.signature(TABLES[group][name]).parameters
    given = options(getattr(only(*fitting(group, name)), group))
    assert {key for key in given if parameters[key].default is inspect.Parameter.empty} == {*needed(group, name)}
    given = {key: value for key, value in given.items() if key not in needed(group, name)}
    ours = {key: parameters[key].default for key in given}
    assert {key: list(value) if isinstance(value, tuple) else value for key, value in ours.items()} == given


def test_words_of_the_schema_are_those_of_the_code():
    words = {item.name: item.metadata["choices"] for item in fields(Config) if "choices" in item.metadata}
    assert {*words["complement"]} == {*READINGS}
    assert {*words["alpha_schedule"]} == {*SCHEDULES}


def refused(words, name, value):
    value = f"[{value}]" if name.rpartition(".")[2] in LISTS else value
    with pytest.raises(ConfigError, match=f"^{re.escape(name)}="):
        composition.planned([*words, f"{name}={value}"])


def beyond(item, end):
    """A value just outside a range, at its lower or upper end."""
    rules, whole = item.metadata, "int" in str(item.type)
    towards, leaves_out = (-1, rules["above"]) if end == "low" else (1, rules["below"])
    edge = rules[end]
    if leaves_out or math.isinf(edge):
        return edge
    return edge + towards if whole else math.nextafter(edge, edge + towards)


@pytest.mark.parametrize(("words", "name", "item"), all_fields())
def test_a_range_is_kept_at_both_ends(words, name, item):
    if "choices" in item.metadata:
        return refused(words, name, "zzz")
    for end in ("low", "high"):
        refused(words, name, beyond(item, end))
    return refused(words, name, "nan" if "float" in str(item.type) else "1.5")


def with_a_lowest_value():
    """Those of the fields that take the low end of their range, whatever the others hold."""
    found = [(field, field.values[2]) for field in all_fields()]
    return [
        field
        for field, item in found
        if "low" in item.metadata
        and not item.metadata["above"]
        and item.name not in ("widths", "channels", "high", "span")
    ]


@pytest.mark.parametrize(("words", "name", "item"), with_a_lowest_value())
def test_the_lowest_of_a_range_is_taken(words, name, item):
    composition.planned([*words, f"{name}={item.metadata['low']}"])


@pytest.mark.parametrize("preset", names(PRESETS))
def test_every_preset_can_be_run(preset):
    build.check(only(f"{PRESETS}={preset}"))


def test_a_stored_configuration_comes_back_as_it_was():
    config = only("act=shrink", "arch=conv", "noise=none", "optim=sgd", "data=manifold", "threads=2")
    assert validate(asdict(config)) == config


def test_what_is_built_is_what_was_chosen():
    config = only("act=shrink", "act.threshold=0.25", "arch.widths=[7,3]", "optim=sgd", "optim.lr=0.125")
    network = build.model(config, (1, 8, 8))
    assert build.activation(config).lambd == 0.25
    assert [layer.affine.out_features for _, layer in network.layers()] == [7, 3]
    assert build.optimiser(config, network).param_groups[0]["lr"] == 0.125
    assert build.device(only("device=cpu")) == torch.device("cpu")
