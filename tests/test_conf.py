"""conf/ and the registered functions fit: no choice lacks its file or its function, and every range is kept."""

import inspect
import math
import re

import numpy
import pytest
import torch
import yaml
from program import ROOT

from satae.cli.compose import compose_runs
from satae.config import ConfigError, validate
from satae.config.option_types import describe, option_types
from satae.config.registry import OPTIMIZERS, choice_names, conf_values
from satae.config.schema import GROUPS, PRESETS, Checkpoints, Config, default_choice, setting_types
from satae.data.published import PUBLISHED_SETS, is_complete
from satae.experiment import build
from satae.experiment.before_training import check_config
from satae.training.loop import SCHEDULES

CHOICES = [(group, name) for group, registry in GROUPS.items() for name in registry.names()]
PLAIN = ROOT / "conf" / "config.yaml"


def only(*words):
    return compose_runs(words)[0][0].config


def needed(group, name):
    """The options for which there is no value in ``conf/``."""
    return [option for option, value in GROUPS[group].defaults(name).items() if value == "???"]


def fitting(group, name, value="somewhere"):
    """The overrides that choose a name, with what it needs beside it."""
    others = [f"{group}.{option}={value}" for option in needed(group, name)]
    return [f"{group}={name}", *others, *(["complement=input"] if group == "act" else [])]


def plain(group="", name=""):
    """A whole configuration as plain data, with the options of one choice that need a value filled in."""
    values = {key: value for key, value in conf_values("config.yaml").items() if key not in ("defaults", "hydra")}
    values |= {each: {**vars(default_choice(each))} for each in GROUPS}
    if group:
        options = {key: "x" if value == "???" else value for key, value in GROUPS[group].defaults(name).items()}
        values[group] = {"name": name, **options}
    return values


def all_options():
    """Every setting and option: its group and choice, its dotted name, and the JSON schema of its type."""
    kinds = {("", "", name): kind for name, kind in setting_types(Config).items()}
    kinds |= {("", "", f"checkpoint.{name}"): kind for name, kind in option_types(Checkpoints).items()}
    for group, name in CHOICES:
        for option, kind in option_types(GROUPS[group][name].build).items():
            kinds[group, name, f"{group}.{option}"] = kind
    return [pytest.param(*key, describe(kind), id="-".join(filter(None, key[1:]))) for key, kind in kinds.items()]


def changed(group, name, key, value):
    """A whole configuration in which one option has another value."""
    values = plain(group, name)
    section, _, option = key.rpartition(".")
    (values[section] if section else values)[option] = value
    return values


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
    if group == "data" and name in PUBLISHED_SETS and not is_complete(PUBLISHED_SETS[name]):
        pytest.skip(f"{name} is not on this machine: satae-data fetch {name}")
    check_config(config)


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_has_a_file_and_a_function(group):
    assert {*choice_names(group)} == {*GROUPS[group].names()} == {entry.name for entry in GROUPS[group].entries()}


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_a_file_holds_the_name_and_a_fitting_value_for_each_option(group, name):
    values = yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text())
    assert values.pop("name") == name
    kinds = option_types(GROUPS[group][name].build)
    assert sorted(values) == sorted(kinds)
    for option, value in values.items():
        if value != "???":
            assert repr(kinds[option].validate_python(value, strict=True)) == repr(value)


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_defaults_of_a_function_are_those_in_conf(group, name):
    parameters = inspect.signature(GROUPS[group][name].build).parameters
    for option, value in GROUPS[group].defaults(name).items():
        default = parameters[option].default
        assert default is inspect.Parameter.empty or (list(default) if isinstance(default, tuple) else default) == value


def test_a_file_in_a_subfolder_is_a_preset_and_no_choice(tmp_path, monkeypatch):
    (tmp_path / "act" / "sub").mkdir(parents=True)
    for name in ("relu", "sub/hidden"):
        (tmp_path / "act" / f"{name}.yaml").touch()
    monkeypatch.setattr("satae.config.registry.conf_folder", lambda: tmp_path)
    assert choice_names("act") == ["relu"]
    assert choice_names("act", is_nested=True) == ["relu", "sub/hidden"]


def test_the_plain_configuration_holds_a_value_for_each_setting():
    values = yaml.safe_load(PLAIN.read_text())
    assert {*values} - {"defaults", "hydra"} | {*GROUPS} == {*Config.__dataclass_fields__} - {"plugins"}
    assert {next(iter(default)) for default in values["defaults"] if default != "_self_"} == {*GROUPS, PRESETS}


def test_words_of_the_schema_are_those_of_the_code():
    kinds = setting_types(Config)
    assert {*describe(kinds["alpha_schedule"])["enum"]} == {*SCHEDULES}


def values_outside(schema):
    """Values that a type refuses: just outside its range, and of other types."""
    if "enum" in schema:
        yield from ("zzz", ["zzz"], 1)
    if schema["type"] == "boolean":
        yield from ("maybe", 1, 2.0)
    if schema["type"] not in ("integer", "number"):
        return
    yield from (math.nan if schema["type"] == "number" else 1.5, True, "many", [[1]])
    for inclusive, exclusive, towards in (("minimum", "exclusiveMinimum", -1), ("maximum", "exclusiveMaximum", 1)):
        edge = schema.get(inclusive, schema.get(exclusive, towards * math.inf))
        if exclusive in schema or math.isinf(edge):
            yield edge
        else:
            yield edge + towards if schema["type"] == "integer" else math.nextafter(edge, edge + towards)


@pytest.mark.parametrize(("group", "name", "key", "schema"), all_options())
def test_a_value_outside_the_range_is_refused(group, name, key, schema):
    for value in values_outside(schema.get("items", schema)):
        typed = [value] * schema.get("minItems", 1) if schema["type"] == "array" else value
        with pytest.raises(ConfigError, match=f"^{re.escape(key)}="):
            validate(changed(group, name, key, typed))


@pytest.mark.parametrize(("group", "name", "key", "schema"), all_options())
def test_the_ends_of_the_range_are_accepted(group, name, key, schema):
    item = schema.get("items", schema)
    for value in [item[end] for end in ("minimum", "maximum") if end in item]:
        validate(changed(group, name, key, [value] * schema.get("minItems", 1) if schema["type"] == "array" else value))


@pytest.mark.parametrize(("key", "value"), [("alpha", -1), ("act.threshold", 0), ("arch.widths", "[0]"), ("seed", 1.5)])
def test_a_value_outside_the_range_is_refused_on_the_command_line(key, value):
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{key}={value}: must be')}|: each must be"):
        compose_runs(["act=shrink", f"{key}={value}"])


@pytest.mark.parametrize("preset", choice_names(PRESETS, is_nested=True))
def test_every_preset_can_be_run(preset):
    check_config(only(f"{PRESETS}={preset}"))


def test_a_stored_configuration_comes_back_as_it_was():
    config = only("act=shrink", "arch=conv", "noise=none", "optim=sgd", "data=manifold", "threads=2")
    assert validate(config.to_dict()) == config


def test_built_objects_have_the_chosen_options():
    config = only("act=shrink", "act.threshold=0.25", "arch.widths=[7,3]", "optim=sgd", "optim.lr=0.125")
    network = build.model(config, (1, 8, 8))
    assert build.activation(config).lambd == 0.25
    assert [layer.affine.out_features for _, layer in network.layers()] == [7, 3]
    assert OPTIMIZERS.build(config.optim, network.parameters()).param_groups[0]["lr"] == 0.125
    assert build.device("cpu") == torch.device("cpu")
