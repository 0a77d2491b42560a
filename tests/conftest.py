"""Settings of all tests: fixed seed, one thread, no network, and the same hypothesis examples on every machine."""

import io
import os
import pickle
import signal
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hypothesis import settings
from omegaconf import OmegaConf, read_write

from satae.cli import compose as cli_compose
from satae.cli.compose import plain_values
from satae.config import Config, validate
from satae.data.local_files import CACHE_VARIABLE
from satae.plots import charts
from satae.plots.style import Picture
from satae.signals import SIGNALS

settings.register_profile("satae", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("satae")


def pytest_configure(config: pytest.Config) -> None:
    # torch 2.13 itself causes this warning at the first forward-mode derivative
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script` is deprecated:DeprecationWarning")
    # hypothesis looks for what refers to its random numbers, and does not see what a program has put aside by gc.freeze
    warning = "ignore:It looks like `register_random`:hypothesis.errors.HypothesisWarning"
    config.addinivalue_line("filterwarnings", warning)


@pytest.fixture(autouse=True)
def _same_start():
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)  # training turns it on for the whole process
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_signals():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _no_disk_to_wait_for_no_network_and_an_own_cache(tmp_path):
    with pytest.MonkeyPatch.context() as patch:  # not the fixture: a test may undo its own patches in the middle
        patch.setattr(os, "fsync", lambda handle: None)  # no test cuts the power; tests of fsync put their own here
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            for variable in (name, name.upper()):
                patch.setenv(variable, "http://127.0.0.1:9")  # where nothing answers
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        patch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
        yield


@pytest.fixture(autouse=True, scope="session")
def _each_text_of_yaml_is_parsed_once():
    """Hydra reads some twenty files for each command line: a fifth of the time of most tests."""
    load, known = OmegaConf.load, {}

    def load_again(file):
        if not hasattr(file, "read"):
            return load(file)
        text = file.read()
        if text not in known:
            known[text] = pickle.dumps(load(io.StringIO(text)))
        return pickle.loads(known[text])  # a copy of its own for each reader

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", staticmethod(load_again))
        yield


@pytest.fixture(autouse=True, scope="session")
def _each_command_line_is_composed_once():
    """Hydra takes a third of the time of a small run, and composes the same words to the same configuration."""
    first, known = cli_compose.compose, {}
    others = ("hydra.searchpath", "hydra.job.env_copy", "hydra/launcher")  # files, variables, what is installed

    def compose_again(primary, words, **options):
        if any(word.lstrip("+~").startswith(others) for word in words):
            return first(primary, words, **options)
        key = (primary, *words, *sorted(options.items()))
        if key not in known:
            known[key] = pickle.dumps(first(primary, words, **options))
        composed = pickle.loads(known[key])
        if "hydra" in composed:
            with read_write(composed.hydra):
                composed.hydra.runtime.cwd = os.getcwd()
        return composed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_compose, "compose", compose_again)
        yield


@pytest.fixture
def blank_pictures(monkeypatch):
    """Leave the pictures of an evaluation blank: to render them is half of its time."""
    monkeypatch.setattr(charts, "to_picture", lambda figure: Picture.encode(np.zeros((8, 8, 3), np.uint8)))


@pytest.fixture
def configuration() -> Callable[..., Config]:
    """The configuration of a command line: configuration("act=relu", "alpha=0.1")."""

    def composed(*overrides: str) -> Config:
        with initialize_config_module("satae.conf", version_base="1.3"):
            return validate(plain_values(compose("config", list(overrides))))

    return composed
