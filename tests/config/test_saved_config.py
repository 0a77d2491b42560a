"""Files that may come from a stranger are read within limits, and hold plain data only."""

import os

import pytest

from satae.config import ConfigError
from satae.config.registry import conf_values
from satae.config.saved_config import read_config, read_config_values, read_file, read_json, read_yaml, restore_config
from satae.config.schema import GROUPS, default_choice


def saved(**changes):
    """A configuration as a run saves it."""
    values = {key: value for key, value in conf_values("config.yaml").items() if key not in ("defaults", "hydra")}
    return {**values, **{group: vars(default_choice(group)) for group in GROUPS}, **changes}


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match="too large"):
        read_file(tmp_path / "file", 4)


def test_pipes_folders_and_unwanted_links_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_text("{}")
    with pytest.raises(ValueError, match="not a file"):
        read_file(tmp_path / "pipe", 100)
    with pytest.raises((ValueError, IsADirectoryError)):
        read_file(tmp_path, 100)
    assert read_json(tmp_path / "link", 100) == {}
    with pytest.raises(OSError, match="link"):
        read_file(tmp_path / "link", 100, follow_links=False)
    with pytest.raises(ConfigError, match=r"missing: cannot be read \(No such file or directory\)"):
        read_json(tmp_path / "missing", 100)


@pytest.mark.parametrize("text", ["", "{", '{"a": }', "\xff", "[" * 100_000, '{"a": NaN}', "[-Infinity]", "1e999"])
def test_invalid_json_is_refused(tmp_path, text):
    (tmp_path / "file.json").write_text(text, "latin-1")
    with pytest.raises(ConfigError, match=r"incomplete, or not JSON|too deeply"):
        read_json(tmp_path / "file.json", 2**20, finite=True)


@pytest.mark.parametrize(
    "text",
    ["a: &x [1]\nb: *x", "[" * 11 + "]" * 11, "a: !!python/name:os.system", "a: [", "a: \x01", "a: !thing 3"],
)
def test_yaml_that_is_not_plain_data_is_refused(tmp_path, text):
    (tmp_path / "file.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        read_yaml(tmp_path / "file.yaml")
    with pytest.raises(ConfigError, match="is not a configuration"):
        read_config(tmp_path / "file.yaml")


@pytest.mark.parametrize("text", ["", "3", "[a]", "1: 2"])
def test_yaml_that_does_not_map_names_is_not_a_configuration(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml: is not a configuration"):
        read_config_values(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "text", ["epochs: .nan", "alpha: -.inf", "act: {name: x, low: .nan}", "arch: {widths: [1, .inf]}"]
)
def test_a_configuration_with_a_number_that_is_not_finite_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml: .*it holds -?(nan|inf), not a finite number"):
        read_config_values(tmp_path / "config.yaml")


def test_keys_that_were_added_later_take_their_defaults():
    earlier = {key: value for key, value in saved().items() if key not in ("logger", "checkpoint")}
    restored = restore_config(earlier, "config.yaml")
    assert restored == restore_config(saved(), "config.yaml")
    assert restored.logger.name == "tensorboard"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alpha": -1}, "alpha=-1: must be at least 0"),
        ({"alpha": "${seed}"}, "has an interpolation"),
        ({"aplha": 1}, "aplha: no such option; did you mean alpha?"),
        ({"act": "relu"}, "act=relu: must be a name with options"),
        ({"act": {"name": "relu", "_target_": "os.system"}}, "act._target_: act=relu has no such option"),
        ({"act": {"name": "os.system"}}, "act=os.system: choose one of"),
        ({"arch": {"name": "mlp"}}, "arch.widths: is missing"),
        ({"checkpoint": 3}, "checkpoint=3: is not one value"),
        ({3: 4}, "3: no such option"),
    ],
)
def test_a_saved_configuration_is_checked(changes, reason):
    with pytest.raises(ConfigError) as error:
        restore_config(saved() | changes, "config.yaml")
    assert str(error.value).startswith("config.yaml: ")
    assert reason in str(error.value)
