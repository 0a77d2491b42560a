"""What torch and the process are told before a run."""

import os
import platform
import resource

import pytest
import torch
from program import here

from satae.training import torch_settings


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not that of glibc")
def test_freed_memory_is_reused():
    torch_settings.configure_torch(1)

    def faults():
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    for _ in range(3):  # the first time pages are new
        held = [torch.ones(2**19) for _ in range(4)]
        del held
    before = faults()
    for _ in range(50):
        held = [torch.ones(2**19) for _ in range(4)]  # 8 MB, 2,048 pages
        del held
    assert faults() - before < 50 * 2048 / 10  # anything else in the process may take new pages


def test_threads_wait_for_a_short_while_unless_the_user_has_said_how_long(tmp_path, monkeypatch):
    for said, found in [(None, "2000"), ("17", "17")]:
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
        if said:
            monkeypatch.setenv("GOMP_SPINCOUNT", said)
        assert here(tmp_path, "--version").code == 0
        assert os.environ["GOMP_SPINCOUNT"] == found


def test_deterministic_algorithms_are_set_for_a_gpu_only():
    filled = torch.utils.deterministic.fill_uninitialized_memory
    try:
        torch_settings.use_deterministic_algorithms(torch.device("cpu"))
        assert not torch.are_deterministic_algorithms_enabled()
        torch_settings.use_deterministic_algorithms(torch.device("cuda"))
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = filled
