"""What conftest.py puts around every test."""

import os

from omegaconf import OmegaConf

from satae.data.local_files import CACHE_VARIABLE


def test_network_cache_and_disk_stay_guarded_when_a_test_undoes_its_patches(tmp_path, monkeypatch):
    monkeypatch.undo()
    assert os.environ["HTTPS_PROXY"] == os.environ["https_proxy"] == "http://127.0.0.1:9"
    assert os.environ[CACHE_VARIABLE] == str(tmp_path / "cache")
    assert os.fsync(-1) is None


def test_yaml_that_is_read_again_is_a_copy_of_its_own(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: {b: [1, 2]}\n")
    for _ in range(2):
        with path.open() as file:
            loaded = OmegaConf.load(file)
        assert loaded == {"a": {"b": [1, 2]}}
        loaded.a.b.append(3)
