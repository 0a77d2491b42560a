"""The walks in docs/architecture.md are those of the program."""

import re
import sys

import pytest
from program import ROOT, TINY, here

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def documented_walk(title):
    """The functions in the table of a section, each with its file."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \d* ?\| `([\w.]+)` \| (\S+) \|", section, re.MULTILINE)
    return [(function, file.strip("`")) for function, file in rows]


def calls_in(folder, *words):
    """Every call of a function of the program, in order, as (function, file, caller)."""
    found = []

    def look(frame, event, _):
        if event == "call" and "/src/satae/" in frame.f_code.co_filename:
            file = frame.f_code.co_filename.rpartition("/src/satae/")[2]
            found.append((frame.f_code.co_qualname, file, frame.f_back.f_code.co_qualname))

    sys.setprofile(look)
    try:
        here(folder, *words)
    finally:
        sys.setprofile(None)
    return found


def stack_at(function, caller, folder, *words):
    """The functions of the program on the stack when ``caller`` first calls ``function``."""
    stacks = []

    def look(frame, event, _):
        if event != "call" or stacks or frame.f_code.co_qualname != function:
            return
        if frame.f_back.f_code.co_qualname.partition(".<locals>")[0] == caller:
            stacks.append([])
            while frame is not None:
                stacks[0].append((frame.f_code.co_qualname, frame.f_code.co_filename))
                frame = frame.f_back

    sys.setprofile(look)
    try:
        here(folder, *words)
    finally:
        sys.setprofile(None)
    own = [(name, file.rpartition("/src/satae/")[2]) for name, file in reversed(stacks[0]) if "/src/satae/" in file]
    return [(name, file) for name, file in own if "<locals>" not in name]


@pytest.mark.parametrize(
    ("title", "function", "caller", "words"),
    [
        ("From the typed word to the event file", "FileWriter.add_summary", "TensorBoardLogger.log_scalars", TINY),
        ("From a typed word to its refusal", "check_value", "_check_settings", ["alpha=-1"]),
    ],
)
def test_a_documented_walk_is_the_stack_of_the_program(tmp_path, title, function, caller, words):
    steps = documented_walk(title)
    assert steps[-1][0] == function
    assert len(steps) <= 9
    assert stack_at(function, caller, tmp_path, *words) == [step for step in steps if step[1] != "torch"]


def test_the_documented_calls_of_a_resumed_run_happen_in_their_order(tmp_path):
    section = PAGE.partition("## From `resume=RUN` to the next step\n")[2].partition("\n## ")[0]
    steps = re.findall(r"^\| \d+ \| `([\w.]+)` \| `(\S+)` \| `([\w.]+)` \|", section, re.MULTILINE)
    assert len(steps) == section.count("\n| ") - 1
    assert here(tmp_path, *TINY, "hydra.run.dir=run").code == 0
    calls = iter(calls_in(tmp_path, "resume=run", "epochs=3"))
    assert [step for step in steps if step not in calls] == []
