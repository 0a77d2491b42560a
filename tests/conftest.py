"""Settings of all tests: fixed seed, one thread, no network, and the same hypothesis examples on every machine."""

import os
import signal
from collections.abc import Callable

import pytest
import torch
from hydra import compose, initialize_config_module
from hypothesis import settings

from satae.cli.compose import plain_values
from satae.config import Config, validate
from satae.data.local_files import CACHE_VARIABLE
from satae.signals import SIGNALS

settings.register_profile("satae", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("satae")


def pytest_configure(config: pytest.Config) -> None:
    # torch 2.13 itself causes this warning at the first forward-mode derivative
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script` is deprecated:DeprecationWarning")


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
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # no test cuts the power; tests of fsync put their own here


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")  # where nothing answers
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def configuration() -> Callable[..., Config]:
    """The configuration of a command line: configuration("act=relu", "alpha=0.1")."""

    def composed(*overrides: str) -> Config:
        with initialize_config_module("satae.conf", version_base="1.3"):
            return validate(plain_values(compose("config", list(overrides))))

    return composed
