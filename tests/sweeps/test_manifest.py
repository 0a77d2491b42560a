import json

import pytest

from satae.config import ConfigError
from satae.sweeps.manifest import (
    EMPTY_MANIFEST,
    MAX_JSON_BYTES,
    Manifest,
    read_manifest,
    read_manifest_or_empty,
    write_manifest,
)


def test_a_written_manifest_is_read_back(tmp_path):
    manifest = EMPTY_MANIFEST.with_command("satae-train -m seed=0,1", ["seed=0,1"], ["seed"]).with_runs(
        {"a": {"0": "seed=0", "1": "seed=1"}}
    )
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


def test_a_command_is_added_once():
    manifest = (
        Manifest([], [], [])
        .with_command("a", ["seed=0,1"], ["seed"])
        .with_command("b", ["seed=0", "act=relu,tanh"], ["act"])
    )
    assert manifest == Manifest(["a", "b"], [["seed=0,1"], ["seed=0", "act=relu,tanh"]], ["act", "seed"])
    assert manifest.with_command("c", ["seed=0,1"], ["seed"]) == manifest
    assert manifest.with_varied(["noise"]) == manifest._replace(varied=["act", "noise", "seed"])


def test_a_missing_manifest_reads_as_empty(tmp_path):
    assert read_manifest(tmp_path) == Manifest([], [], [])


def test_a_manifest_too_large_to_read_back_is_not_written(tmp_path):
    manifest = Manifest([], [], []).with_command("a", ["seed=0"], [])
    write_manifest(tmp_path, manifest)
    with pytest.raises(ConfigError, match=r"^[^\n]*sweep\.json: [^\n]*16,777,216 bytes[^\n]*$"):
        write_manifest(tmp_path, manifest.with_command("b" * MAX_JSON_BYTES, ["seed=1"], []))
    assert read_manifest(tmp_path) == manifest


def test_the_largest_manifest_is_read_back(tmp_path):
    room = MAX_JSON_BYTES - len(json.dumps(Manifest([""], [], [])._asdict(), indent=2) + "\n")
    write_manifest(tmp_path, Manifest(["b" * room], [], []))
    assert read_manifest(tmp_path).commands == ["b" * room]
    with pytest.raises(ConfigError):
        write_manifest(tmp_path, Manifest(["b" * (room + 1)], [], []))


def test_a_renamed_run_replaces_its_earlier_name():
    manifest = EMPTY_MANIFEST.with_runs({"a": {"0": "seed=0", "1": "seed=1"}}).with_runs(
        {"a": {"1": "alpha=0,seed=1"}, "b": {"0": "b"}}
    )
    assert manifest.run_names == ["seed=0", "alpha=0,seed=1", "b"]


def test_a_manifest_of_an_early_version_has_no_runs(tmp_path):
    (tmp_path / "sweep.json").write_text('{"commands": ["x"], "words": [["seed=0"]], "varied": ["seed"]}')
    assert read_manifest(tmp_path) == Manifest(["x"], [["seed=0"]], ["seed"], {})


@pytest.mark.parametrize("name", ["../x", "..", "", "a/b", ".hidden", "a\0", 3, None, ["a"]])
def test_a_run_name_outside_the_sweep_is_refused(tmp_path, name):
    (tmp_path / "sweep.json").write_text(json.dumps({**EMPTY_MANIFEST._asdict(), "runs": {"a": {"0": name}}}))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_manifest(tmp_path)
    assert read_manifest_or_empty(tmp_path) == EMPTY_MANIFEST


@pytest.mark.parametrize(
    "word",
    ["hydra.callbacks.x._target_=os.system", "+hydra.sweep.dir=/", "hydra/launcher=x", "--config-dir=/tmp", "~hydra"],
)
def test_words_that_reach_hydra_are_refused(tmp_path, word):
    write_manifest(tmp_path, Manifest(["x"], [[word]], []))
    with pytest.raises(ConfigError, match="satae-train does not write that"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "found",
    [
        *([], 3, None, {}, {"commands": 1, "words": [], "varied": []}, {"commands": [], "words": [[1]], "varied": []}),
        *({**EMPTY_MANIFEST._asdict(), "runs": found} for found in ([1], {"a": "b"}, {"a": ["b"]}, 3)),
    ],
)
def test_a_file_that_is_not_a_manifest_is_refused(tmp_path, found):
    (tmp_path / "sweep.json").write_text(json.dumps(found))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_manifest(tmp_path)
