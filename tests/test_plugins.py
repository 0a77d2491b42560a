"""Plugins: what was typed is imported and becomes a choice everywhere; what a run directory says is never imported."""

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from program import ROOT, TINY, files, here, read, there, typed

import satae
from satae import datasets, evaluate, export, report
from satae.training.checkpoint import latest_checkpoint

PLUGIN = '''
import math
from torch import Tensor, nn
from satae.config.option_types import PositiveValue
from satae.model.activations import Properties, activation

FLAT = lambda act, eps: [(-math.inf, 0.0), (act.height, math.inf)]

@activation("ramp", Properties(flat=FLAT, piecewise_linear=True, largest_slope=1.0))
class Ramp(nn.Module):
    """Linear from 0 up to a height."""

    def __init__(self, *, height: PositiveValue = 1.5) -> None:
        super().__init__()
        self.height = height

    def forward(self, z: Tensor) -> Tensor:
        return z.clamp(0.0, self.height)
'''
LONGER = (*TINY, "alpha_schedule=constant", "act=ramp", "act.height=1")
PROGRAMS = {"train": satae.train, "eval": evaluate, "report": report, "export": export, "data": datasets}


def program(name):
    return (str(Path(sys.executable).with_name(f"satae-{name}")),)


def weights(directory):
    return latest_checkpoint(directory).tensors


def assert_same_weights(one, other):
    assert [name for name, tensor in weights(one).items() if not torch.equal(tensor, weights(other)[name])] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a plugin, ``ramp.py``, and a run of two epochs that has its activation, ``run``."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "ramp.py").write_text(PLUGIN)
    outcome = there(folder, "plugins=ramp.py", *LONGER, "hydra.run.dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    return folder


def test_a_run_records_the_plugins_that_were_typed_and_their_digests(folder):
    import hashlib

    entry = {"name": "ramp.py", "sha256": hashlib.sha256(PLUGIN.encode()).hexdigest()}
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    assert config["plugins"] == read(folder / "run" / "run.json")["plugins"] == [entry]
    assert config["act"] == {"name": "ramp", "height": 1.0}
    assert read(folder / "run" / "run.json")["command"].startswith("satae-train plugins=ramp.py ")


def test_a_run_without_plugins_says_nothing_of_them(tmp_path):
    here(tmp_path, *TINY, "epochs=1", "hydra.run.dir=run")
    assert "plugins" not in yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert "plugins" not in read(tmp_path / "run" / "run.json")


def test_a_resumed_run_of_a_plugin_has_the_weights_of_an_uninterrupted_one(folder):
    there(folder, "plugins=ramp.py", *LONGER, "epochs=1", "hydra.run.dir=short")
    outcome = there(folder, "plugins=ramp.py", "resume=short", "epochs=2")
    assert (outcome.code, outcome.err) == (0, "")
    assert_same_weights(folder / "short", folder / "run")


def test_a_run_of_a_plugin_in_a_worker_process_has_the_same_weights_and_resumes_to_the_same(folder):
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    words = ("sweep=workers", *LONGER, "act=ramp,relu", "act.height=1", "epochs=1", *workers)
    outcome = there(folder, *(word for word in words if word != "act.height=1"), SATAE_PLUGINS="ramp.py")
    assert outcome.code == 0, outcome.err
    (made,) = (folder / "outputs" / "workers").glob("*ramp*")
    assert "sha256" in read(made / "run.json")["plugins"][0]
    there(folder, "plugins=ramp.py", *LONGER, "act.height=1.5", "epochs=2", "hydra.run.dir=serial")
    resumed = there(folder, f"resume={made}", "epochs=2", SATAE_PLUGINS="ramp.py")
    assert resumed.code == 0, resumed.err
    assert_same_weights(made, folder / "serial")
    outcome = there(folder, "sweep=workers")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "plugins=ramp.py" in outcome.err


@pytest.mark.parametrize("launcher", ["submitit_local", "ray"])
def test_other_launchers_import_plugins_in_their_processes(folder, launcher):
    pytest.importorskip({"ray": "ray"}.get(launcher, "submitit"))
    words = (*TINY, "act=ramp", "epochs=1", f"hydra/launcher={launcher}", f"sweep={launcher}")
    outcome = there(folder, "plugins=ramp.py", *words)
    assert (outcome.code, "1 of 1" in outcome.out) == (0, True), outcome.err
    (record,) = (folder / "outputs" / launcher).glob("*/run.json")
    assert (read(record)["status"], read(record)["plugins"][0]["name"]) == ("finished", "ramp.py")


def test_a_worker_process_runs_what_the_main_process_has_read(folder):
    """The file may change, or be missing on another machine."""
    script = (
        "from pathlib import Path; from satae.config import plugins, registry\n"
        "source = Path('ramp.py').read_bytes()\n"
        "plugins.load([plugins.Plugin('gone.py', '0', source, 'gone.py')])\n"
        "print(registry.ACTIVATIONS.defaults('ramp'))\n"
    )
    assert there(folder, "-c", script, program=(sys.executable,)) == (0, "{'height': 1.5}\n", "")


def test_the_commands_of_the_documents_run_the_example(folder):
    shutil.copytree(ROOT / "docs", folder / "docs", dirs_exist_ok=True)
    page = (ROOT / "docs" / "extending.md").read_text("utf-8").partition("## An activation")[0]
    shown = re.findall(r"^\$ (satae-\w+) (.*)\n(.*)$", page, re.MULTILINE)
    assert len(shown) >= 4
    for name, words, line in shown:
        outcome = there(folder, *shlex.split(words), program=program(name.removeprefix("satae-")))
        assert outcome.code == (2 if line.startswith(f"{name}: ") else 0), outcome.err
        assert line in (outcome.out + outcome.err).splitlines()
    example = (ROOT / "docs" / "example_plugin.py").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block in example


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train", ["resume=run", "epochs=3"]),
        ("train", ["rerun=run"]),
        ("eval", ["run=run", "evaluation=denoising"]),
        ("export", ["run=run", "format=safetensors"]),
    ],
)
def test_a_run_whose_plugin_was_not_typed_is_refused_in_one_line(folder, name, words):
    before = files(folder)
    outcome = there(folder, *words, program=program(name))
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "was made with plugins=ramp.py" in outcome.err
    assert "type plugins=ramp.py as well" in outcome.err
    assert files(folder) == before


def test_every_program_takes_a_run_whose_plugin_was_typed(folder):
    plugin = "plugins=ramp.py"
    for name, *words in (
        ("eval", "run=run", "evaluation=denoising", "denoising.gaussian=[0.1]"),
        ("export", "run=run", "format=safetensors"),
        ("report", "run"),
        ("data", "list"),
    ):
        outcome = there(folder, plugin, *words, program=program(name))
        assert (outcome.code, outcome.err) == (0, ""), name


def test_load_says_how_to_import_a_plugin_and_takes_it(folder):
    script = (
        "import satae\n"
        "try:\n    satae.load('run')\nexcept ValueError as error:\n    print(error)\n"
        "satae.load('run', plugins=['ramp.py'])\n"
        "print(type(satae.load('run').layers()[0][1].act).__name__)\n"
    )
    outcome = there(folder, "-c", script, program=(sys.executable,))
    assert (outcome.code, outcome.err) == (0, "")
    assert "import it first, or satae.load(..., plugins=[...])" in outcome.out
    assert outcome.out.endswith("\nRamp\n")


def test_a_plugin_that_has_changed_is_reported_on_the_console_and_in_the_record(folder):
    (folder / "changed").mkdir(exist_ok=True)
    (folder / "changed" / "ramp.py").write_text(PLUGIN + "# more\n")
    outcome = there(folder, "plugins=changed/ramp.py", "resume=run", "epochs=3")
    line = "warning: plugins=changed/ramp.py: the file has changed since the run was made; its numbers may, too\n"
    assert (outcome.code, outcome.err) == (0, line)
    assert read(folder / "run" / "run.json")["resumed"][-1]["changed_plugins"] == ["changed/ramp.py"]
    outcome = there(folder, "plugins=ramp.py", "run", program=program("report"))
    assert (outcome.code, outcome.err) == (0, line.replace("changed/ramp.py", "ramp.py"))  # the newest counts


def test_help_messages_lists_and_completion_know_the_choices_of_a_plugin(folder):
    for words, shown in (
        (["--help"], "ramp    Linear from 0 up to a height"),
        (["act=rampp"], "did you mean ramp?"),
        (["act=ramp", "act.hight=1"], "did you mean act.height?"),
        (["act=ramp", "act.height=-1"], "act.height=-1: must be above 0"),
        (["--cfg", "job", "act=ramp"], "height: 1.5"),
    ):
        outcome = there(folder, "plugins=ramp.py", *words)
        assert shown in outcome.out + outcome.err, words
    query = {"COMP_LINE": "satae-train act=ra", "COMP_POINT": "18", "SATAE_PLUGINS": "ramp.py"}
    assert there(folder, "-sc", "query=bash", **query).out == "act=ramp\n"


def test_a_sweep_over_all_choices_of_a_group_takes_that_of_a_plugin(folder):
    outcome = there(folder, "plugins=ramp.py", "-m", *TINY, "epochs=1", "act=glob(ra*)", "hydra.sweep.dir=swept")
    assert (outcome.code, outcome.err) == (0, "")
    assert yaml.safe_load(next((folder / "swept").glob("*/config.yaml")).read_text())["act"]["name"] == "ramp"


def test_a_module_is_a_plugin_and_its_digest_is_that_of_all_its_files(folder):
    package = folder / "lib" / "my_choices"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from my_choices import ramps\n")
    (package / "ramps.py").write_text(PLUGIN.replace('"ramp"', '"ramp_of_module"'))
    words = ("plugins=[my_choices]", *TINY, "act=ramp_of_module", "epochs=1", "hydra.run.dir=module")
    assert there(folder, *words, PYTHONPATH=str(folder / "lib")).code == 0
    before = read(folder / "module" / "run.json")["plugins"][0]
    (package / "ramps.py").write_text(PLUGIN.replace('"ramp"', '"ramp_of_module"') + "# more\n")
    outcome = there(folder, "plugins=my_choices", "resume=module", "epochs=2", PYTHONPATH=str(folder / "lib"))
    assert (outcome.code, before["name"]) == (0, "my_choices")
    assert "warning: plugins=my_choices: the file has changed" in outcome.err


# refusals

REFUSED = {
    "def": "cannot be imported (line 1: SyntaxError: ",
    "\nimport no_such_module": "cannot be imported (line 2: ModuleNotFoundError: No module named 'no_such_module')",
    "1 / 0": "cannot be imported (line 1: ZeroDivisionError: division by zero)",
    "raise SystemExit(0)": "cannot be imported (line 1: SystemExit: 0)",
    "{register}('mlp')(lambda shape, act: None)": "arch=mlp: there is a choice of this name already",
    "{register}('new')(lambda: None)": "its function must take (shape, act, *, option: type = value)",
    "{register}('new')(lambda shape, act, depth=3: None)": "options stand after the *",
    "{register}('new')(lambda shape, act, *, depth=3: None)": "arch.depth: has no type",
    "{register}('new')(lambda shape, act, **options: None)": "options stand after the *",
    "{register}('new/x')(lambda shape, act: None)": "a name has letters, digits and _ alone",
    "def f(shape, act, *, depth: dict = 3): ...\n{register}('new')(f)": "arch.depth: an option cannot have this type",
    "def f(shape, act, *, depth: int = 'x'): ...\n{register}('new')(f)": "arch.depth=x: must be a whole number",
    "def f(shape, act, *, name: int = 1): ...\n{register}('new')(f)": "arch.name: cannot be the name of an option",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=[reason[:40] for reason in REFUSED.values()])
def test_a_plugin_that_cannot_be_used_is_refused_in_one_line_and_nothing_is_written(tmp_path, text, reason):
    first = "from satae.config.registry import ARCHITECTURES; "
    (tmp_path / "bad.py").write_text(text.replace("{register}", f"{first}ARCHITECTURES.register") + "\n")
    outcome = here(tmp_path, "plugins=bad.py", "epochs=1")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith("satae-train: plugins=bad.py: ")
    assert reason in outcome.err
    assert files(tmp_path) == ["bad.py"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("activation('relu', None)(type('Own', (nn.Module,), {}))", "act=relu: there is a choice of this name already"),
        ("activation('own', None)(nn.ReLU)", "act=own: ReLU has properties already; return a class of your own"),
        ("activation('own', None)(lambda: None)", "act=own: its function must say which class of modules it returns"),
    ],
)
def test_an_activation_cannot_change_another_one(tmp_path, text, reason):
    from satae.model.activations import PROPERTIES

    known = dict(PROPERTIES)
    (tmp_path / "bad.py").write_text(f"from torch import nn\nfrom satae.model.activations import activation\n{text}\n")
    outcome = here(tmp_path, "plugins=bad.py")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert reason in outcome.err
    assert known == PROPERTIES


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["plugins=gone.py"], "plugins=gone.py: cannot be read (No such file or directory)"),
        (["plugins=no_such"], "plugins=no_such: Python finds no such module; name a .py file, or an installed module"),
        (["plugins=mine"], "plugins=mine: Python finds no such module; did you mean mine.py?"),
        (["plugins=./"], "plugins=./: cannot be read (Is a directory); name a .py file"),
        (["plugins="], "plugins=: is empty"),
        (["plugins=mine.py", "plugins=mine.py"], "write one list, such as plugins=one.py,other.py"),
        (["+plugins=mine.py"], "+plugins=mine.py: write plugins=FILE.py, or plugins=MODULE"),
        (["plugins.x=mine.py"], "plugins.x=mine.py: write plugins=FILE.py, or plugins=MODULE"),
        (["plugins"], "plugins: has no value; write plugins=ramp.py, for example"),
        (["plugin=mine.py"], "did you mean plugins?"),
        (["plugins=mine.py,other/mine.py"], "there is another plugin named mine.py; rename one of them"),
    ],
)
def test_a_plugin_that_is_not_there_is_refused_in_one_line_and_nothing_is_written(tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.py").write_text("# another\n")
    before = files(tmp_path)
    outcome = typed(satae.train.main, "satae-train", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in outcome.err.splitlines()[-1]
    assert files(tmp_path) == before


def test_a_configuration_file_cannot_name_plugins(tmp_path):
    evil(tmp_path)
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text("# @package _global_\nplugins: [evil.py]\n")
    outcome = here(tmp_path, "--config-dir", "own", "experiment=mine")
    line = "satae-train: plugins: stands in a file, which cannot choose what is imported; type plugins=... instead\n"
    assert outcome == (2, "", line)
    assert not (tmp_path / "executed").exists()


# a stranger's run directory


def evil(folder):
    (folder / "evil.py").write_text("from pathlib import Path\nPath('executed').touch()\n")


@pytest.mark.parametrize("stored", ["list", "word", "other"])
def test_a_strangers_run_directory_executes_nothing(tmp_path, stored):
    for words in (["hydra.run.dir=run"], ["sweep=./sweep", "seed=0,1"]):
        assert here(tmp_path, *TINY, "epochs=1", *words).code == 0
    evil(tmp_path)
    plugins = {"list": [{"name": "evil.py", "sha256": "0" * 64}], "word": "evil.py", "other": {"evil.py": ["evil"]}}[
        stored
    ]
    for name in ("run/config.yaml", "sweep/seed=0/config.yaml", "sweep/multirun.yaml"):
        file = tmp_path / name
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "plugins": plugins}))
    for name in ("run/run.json", "sweep/seed=0/run.json", "sweep/sweep.json"):
        file = tmp_path / name
        found = read(file) | {"plugins": plugins}
        found |= {"commands": ["satae-train plugins=evil.py sweep=sweep"]} if "commands" in found else {}
        file.write_text(json.dumps(found))
    results = [
        here(tmp_path, "resume=run", "epochs=2"),
        here(tmp_path, "rerun=run", "epochs=1", "hydra.run.dir=again"),
        here(tmp_path, "sweep=./sweep"),
        here(tmp_path, "sweep=./sweep", "seed=0,1,2", *TINY, "epochs=1"),
    ]
    for name, *words in (
        ("eval", "run=run", "evaluation=denoising", "denoising.gaussian=[0.1]"),
        ("export", "run=run", "format=safetensors"),
        ("report", "run"),
        ("report", "sweep"),
        ("data", "list"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            results.append(typed(PROGRAMS[name].main, f"satae-{name}", *words))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        satae.load("run")
    assert not (tmp_path / "executed").exists()
    assert not any("Traceback" in outcome.err for outcome in results)
    if stored == "list":  # its choices are known, so it needs no plugin
        assert {outcome.code for outcome in results} == {0}
    assert "evil" not in sys.modules
    assert os.environ.get("SATAE_PLUGINS") is None
