"""A choice is one function and one YAML file: the examples of docs/extending.md work, and nothing else is edited."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from program import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8").partition("## In the source")[2]
ADDED = {"act": "erf", "arch": "pyramid", "data": "rings", "noise": "speckle", "optim": "nadam", "logger": "snapshots"}
RUN_LINES = """
import contextlib, io, json, shlex, sys
from importlib import import_module

MODULES = {"satae-train": "train", "satae-eval": "evaluate", "satae-report": "report", "satae-data": "datasets"}
results = []
for line in json.loads(sys.argv[1]):
    sys.argv = shlex.split(line)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = import_module(f"satae.{MODULES[sys.argv[0]]}").main()
        except SystemExit as stop:
            code = stop.code or 0
    results.append((code, output.getvalue()))
print(json.dumps(results))
"""


def added_files():
    """The lines that the page adds, by file."""
    files = {}
    for block in re.findall(r"^```diff\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for name, lines in re.findall(r"^\+\+\+ (.*)\n((?:\+(?!\+\+ ).*\n)*)", block, re.MULTILINE):
            files[name] = re.sub(r"^\+", "", lines, flags=re.MULTILINE)
    return files


def shown_commands():
    """The commands of the page, each with the lines that it prints."""
    blocks = "\n".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    found = [block.strip().split("\n") for block in re.split(r"^\$ ", blocks, flags=re.MULTILINE) if block.strip()]
    return [(command, lines) for command, *lines in found]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run command lines, one after another, in a copy of the program to which the page is applied."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("src/satae", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src" / "satae" / "conf").symlink_to(folder / "conf")
    for name, lines in added_files().items():
        path = folder / name
        path.write_text(f"{path.read_text()}\n\n{lines}" if path.exists() else lines)
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}

    def run_lines(*lines):
        command = [sys.executable, "-c", RUN_LINES, json.dumps(lines)]
        printed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=True)
        return json.loads(printed.stdout)

    run_lines.folder = folder
    return run_lines


def without_numbers(line):
    return re.sub(r"\d+(\.\d+)?", "0", line)


def test_the_page_adds_two_files_for_each_group():
    groups = {*ADDED, "evaluation"}
    yaml = [name for name in added_files() if name.startswith("conf/")]
    assert {name.split("/")[1] for name in yaml} == groups
    assert len(yaml) == len(groups) == len(added_files()) - len(yaml)


def test_the_commands_of_the_page_print_what_it_shows(run):
    commands = shown_commands()
    results = run(*(command for command, _ in commands))
    assert len(results) == len(commands) >= 12
    for (command, lines), (code, printed) in zip(commands, results, strict=True):
        is_refusal = lines[0].startswith(f"{command.split()[0]}: ")
        assert code == (2 if is_refusal else 0), (command, printed)
        if is_refusal:
            assert printed.splitlines() == lines
        assert {*map(without_numbers, lines)} <= {*map(without_numbers, printed.splitlines())}, (command, printed)
    saved = (run.folder / "outputs" / "erf" / "config.yaml").read_text()
    assert re.search(r"name: erf\n +scale: 2.0", saved)
    assert [*(run.folder / "outputs" / "snapshots" / "pictures_1").glob("*.png")]
    events = [*(run.folder / "outputs" / "erf" / "evaluation").glob("events*.worst")]
    assert b"evaluation/worst/worst" in events[0].read_bytes()
    assert "mean energy" in (run.folder / "outputs" / "erf" / "report" / "index.html").read_text()


def test_help_messages_and_sweeps_know_an_added_choice(run):
    misspelt = [f"satae-train {group}={name}x" for group, name in ADDED.items()]
    lines = ["satae-train --help", "satae-eval --help", "satae-eval run=x evaluation=wrost", *misspelt]
    sweep = "satae-train -m act='glob(er*)' data=rings logger=snapshots epochs=1 arch.widths=[3] hydra.sweep.dir=sweep"
    (_, training), (_, evaluation), (_, refusal), *refusals, (code, printed) = run(*lines, sweep)
    assert (code, "act=erf  valid fvu" in printed or "erf" in shlex.split(printed)) == (0, True), printed
    assert [*(run.folder / "sweep").rglob("events*.sweep")]
    for name in added_files():
        if name.startswith("conf/"):
            yaml = (run.folder / name).read_text()
            shown = evaluation if "/evaluation/" in name else training
            choice, description = re.match(r"# (.*)\nname: (.*)\n", yaml).groups()[::-1]
            assert re.search(rf" {choice}:? {re.escape(description)} ", " ".join(shown.split())), name
            for option in re.findall(r"^(?!name)(\w+):", yaml, re.MULTILINE):
                assert re.search(rf"\.{option}\b", shown), (name, option)
    assert refusal.endswith("did you mean worst?\n")
    for name, (code, printed) in zip(ADDED.values(), refusals, strict=True):
        assert (code, printed.count("\n")) == (2, 1)
        assert re.search(rf"\b{name}\b.*; did you mean {name}\?$", printed)
