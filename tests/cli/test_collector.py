"""What the garbage collector looks at, and when."""

import gc
import subprocess
import sys

import pytest
from program import TINY

from satae.cli import collector

ENDS = """
import atexit, gc, sys
from unittest import mock
atexit.register(lambda: print(gc.get_freeze_count() > 100_000, file=sys.stderr))  # called after those registered later
sys.argv = ["satae-train", *sys.argv[1:]]
from satae.train import main

def train(*args, **kwargs):
    print(gc.isenabled(), gc.get_freeze_count() > 50_000)
    return 1.0

with mock.patch("satae.cli.session.train", train):
    main()
"""


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_it_is_at_work_when_the_command_line_is_over(error):
    try:
        with collector.resting():
            assert not gc.isenabled()
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert gc.isenabled()


def test_it_looks_at_what_a_run_leaves_behind():
    with collector.resting():
        collector.wake()
        assert gc.isenabled()
        cycle = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() > 0
    frozen = gc.get_freeze_count()
    with collector.resting():
        collector.wake()  # a second run in one process
        assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen


def test_a_run_has_it_awake_but_for_the_libraries_and_the_end_has_it_rest(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ENDS, *TINY], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("True True")
    assert done.stderr.splitlines()[-1] == "True"
