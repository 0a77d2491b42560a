"""The house: which part may know which, and that what the documents say can be done."""

import ast
import re
import shlex
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from program import ROOT

from satae import evaluate, inventory
from satae.command import composition, sweeps
from satae.data.archives import complete
from satae.data.published import PUBLISHED
from satae.report import command as report
from satae.run import build

SOURCE = ROOT / "src" / "satae"
FILES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

LEAVES = {"satae.colours", "satae.files", "satae.interruption", "satae.run_directory", "satae.share", "satae.shown"}
MAY_KNOW = {
    "model": {"satae.model"},
    "data": {"satae.data"},
    "training": {"satae.training", "satae.model", "satae.data", *LEAVES},
    "report": {
        *("satae.report", "satae.sweep", "satae.config", "satae.command.small_program"),
        *("satae.__version__", *LEAVES),
    },
    "sweep": {"satae.sweep", "satae.config", "satae.tracking", *LEAVES},
    "robustness": {"satae.robustness", "satae.model"},
    "tracking": {"satae.tracking", "satae.model", "satae.training.energy", "satae.config", *LEAVES},
    "evaluation": {
        *(
            "satae.evaluation",
            "satae.robustness",
            "satae.model",
            "satae.training",
            "satae.data",
            "satae.config",
            "satae.tracking",
        ),
        *("satae.sweep.event_files", "satae.sweep.csv_files"),
        *("satae.sweep.groups", "satae.sweep.notes", "satae.sweep.results"),
        *("satae.run.build", "satae.run.experiment", "satae.run.loading", "satae.run.same_data", *LEAVES),
    },
    "run": {
        *("satae.run", "satae.model", "satae.data", "satae.training", "satae.tracking", "satae.sweep", "satae.config"),
        *("satae.report.writing", "satae.command.ending", "satae.command.launch", "satae.command.stored_runs", *LEAVES),
    },
    "config": {"satae.config", "satae.shown"},
    "command": {
        *("satae.command", "satae.config", "satae.conf", "satae.sweep"),
        *("satae.tracking.lock", "satae.tracking.record", *LEAVES),
    },
}
ENTRY_POINTS = {"train.py", "run/job.py", "inventory.py", "evaluate.py", "export.py", "report/command.py"}
HOMES = {
    "hydra": {"command", "run/job.py"},
    "omegaconf": {"command", "run/job.py", "tracking/record.py", "config"},
    "tensorboard": {
        "tracking/board.py",
        "sweep/board.py",
        "sweep/hparams.py",
        "sweep/event_files.py",
        "evaluation/board.py",
    },
    "torch.utils.tensorboard": {"tracking/board.py", "sweep/board.py", "evaluation/board.py"},
    "sklearn": {"evaluation/probes.py"},
    "skimage": {"evaluation/similarity.py"},
    "matplotlib": {
        "tracking/pictures.py",
        "evaluation/drawing.py",
        "report/drawing.py",
        "report/evaluations/denoising.py",
        "report/evaluations/panels.py",
        "report/evaluations/twins.py",
        "report/figures.py",
        "report/scales.py",
    },
    "PIL": {"tracking/pictures.py", "data/images.py"},
    "jinja2": {"report/page.py"},
    "rich": {"tracking/console.py", "sweep/table.py", "evaluation/console.py", "evaluation/columns.py", "inventory.py"},
    "scipy": {"data/svhn.py", "sweep/groups.py"},
    "pooch": {"data/archives.py", "data/cache.py"},
    "requests": {"data/archives.py"},
    "filelock": {"data/cache.py", "tracking/lock.py", "tracking/record.py", "sweep/board.py"},
    "safetensors": {"training/checkpoint.py"},
    "yaml": {"config/stored.py"},
    "onnxruntime": {"formats.py"},
    "tqdm": {"data/images.py"},
    "datasets": {"data/hf.py"},
    "joblib": {"command/cores.py", "command/joblib_launcher.py"},
    "submitit": {"command/submitit_launcher.py", "command/requeue.py"},
    "ray": {"command/ray_launcher.py"},
    "hydra_plugins": {"command/ray_launcher.py"},
    "pickle": {"data/cifar10.py"},
    "foolbox": {"robustness/libraries.py"},
    "pyautoattack": {"robustness/libraries.py"},
}
HEAVY = {"torch", "numpy", "matplotlib", "sklearn", "PIL", "tensorboard", "rich"}
UNSAFE = {"eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "yaml.load", "yaml.unsafe_load"}
SAFE_WITH = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False", "numpy.load": "allow_pickle=False"}


def tree(name):
    return ast.parse(FILES[name].read_text("utf-8"))


def imported(nodes):
    """The dotted names that some statements import, relative imports aside, which there are none of."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def everything_imported(name):
    return set(imported(ast.walk(tree(name))))


def at_the_top(name):
    """What is imported as soon as the module is: not what functions import."""
    return set(imported(tree(name).body))


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("name", [name for name in FILES if "/" in name])
def test_imports_go_one_way(name):
    ours = {module for module in everything_imported(name) if within(module, ["satae"])}
    assert {module for module in ours if not within(module, MAY_KNOW[name.partition("/")[0]])} == set()


def test_entry_points_alone_know_the_command_line():
    known = {name for name in FILES if any(within(module, ["satae.command"]) for module in everything_imported(name))}
    assert {name for name in known if not name.startswith("command/")} == ENTRY_POINTS


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_a_leaf_knows_the_standard_library_alone(leaf):
    known = {module.partition(".")[0] for module in everything_imported(f"{leaf.removeprefix('satae.')}.py")}
    assert known - sys.stdlib_module_names == set()


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_known_where_it_has_its_home(library):
    known = {name for name in FILES if any(within(module, [library]) for module in everything_imported(name))}
    assert known
    assert {name for name in known if not {name, name.partition("/")[0]} & HOMES[library]} == set()


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("config/")])
def test_config_knows_nothing_heavy(name):
    assert not {module for module in everything_imported(name) if within(module, HEAVY)}


@pytest.mark.parametrize(
    "name", ["__init__.py", "command/execution.py", "command/launch.py", "train.py", "evaluate.py"]
)
def test_the_command_line_imports_nothing_heavy_at_first(name):
    light = {"satae.command", "satae.config", *LEAVES}
    found = {module for module in at_the_top(name) if within(module, HEAVY | {"satae"})}
    assert {module for module in found if not within(module, light)} == set()


@pytest.mark.parametrize("name", ["train.py", "evaluate.py"])
def test_an_interrupt_is_heard_before_what_takes_time_is_imported(name):
    slow = ["hydra", "omegaconf", "satae.config", "satae.command.arguments", "satae.command.small_program"]
    assert not {module for module in at_the_top(name) if within(module, slow)}


@pytest.mark.parametrize("name", FILES)
def test_nothing_runs_code_from_data(name):
    calls = {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}
    assert not calls & UNSAFE
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SAFE_WITH:
            assert SAFE_WITH[ast.unparse(node.func)] in [ast.unparse(keyword) for keyword in node.keywords]


def test_configurations_name_choices_never_code():
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert "_target_" not in path.read_text("utf-8"), path


def test_no_two_test_files_have_one_name():
    names = [path.name for path in (ROOT / "tests").rglob("*.py")]
    assert sorted({*names}) == sorted(names)


@pytest.mark.parametrize("name", FILES)
def test_no_room_for_odds_and_ends(name):
    assert not {*Path(name).with_suffix("").parts} & {"utils", "util", "common", "helpers", "helper", "misc"}


def test_no_module_hides_one_of_the_standard_library():
    assert not {Path(name).stem for name in FILES} & (sys.stdlib_module_names - {"__future__"})


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(SOURCE.parent).as_posix().replace("/", ".") for path in FILES.values()}
    assert {*listed} == folders | {"satae.conf"}


# documents


def commands(program):
    """Every line of a program that the documents and the Makefile give, by where it stands."""
    found = {}
    for document in [*DOCUMENTS, ROOT / "Makefile"]:
        text = document.read_text("utf-8") if document.exists() else ""
        for line in re.findall(rf"(?:^[ \t]*|`|/){program} +([^`\n]*)", text, re.MULTILINE):
            words = [word for word in shlex.split(line, comments=True) if word not in ("$(ARGS)", "[...]")]
            found[f"{document.name}: {' '.join(words)}"] = words
    return [pytest.param(words, id=line) for line, words in found.items()]


def one_seed(word):
    return "seed=0" if word.startswith("seed=") else word


def is_there(source):
    """Whether the data that a configuration names are on this machine."""
    if published := PUBLISHED.get(source.name):
        return complete(published, source.dir)
    return getattr(source, "path", None) is None


@pytest.mark.parametrize("words", commands("satae-train"))
def test_every_command_in_the_documents_can_be_run(words):
    if {"--help", "--hydra-help", "--cfg"} & {*words}:
        pytest.skip("shows something")
    if [word for word in words if word.startswith(("resume=", "rerun="))] or (len(words) == 1 and "sweep=" in words[0]):
        pytest.skip("needs a run that is there")
    if any(word.startswith("hydra/launcher=ray") for word in words) and not find_spec("ray"):
        pytest.skip("pip install 'satae[ray]'")
    overrides = [one_seed(word) for word in words if not word.startswith("-")]
    asked = sweeps.taken_out(overrides, {"-m", "--multirun"} & {*words} != set())
    for run in composition.planned(*asked.commands, multirun=asked.multirun).runs:
        if not is_there(run.config.data):
            pytest.skip("can be composed; its data are not on this machine")
        build.check(run.config)


@pytest.mark.parametrize("words", commands("satae-data"))
def test_every_command_about_data_in_the_documents_is_one(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["satae-data", *words[:1], "--help"])
    with pytest.raises(SystemExit, match="0"):
        inventory.main()
    assert {*words[1:]} - {"--dir", "/scratch/me"} <= {*PUBLISHED, "all"}
    assert "usage: satae-data" in capsys.readouterr().out


@pytest.mark.parametrize("words", commands("satae-eval"))
def test_every_command_about_evaluations_in_the_documents_is_one(words):
    if "--help" in words:
        pytest.skip("shows something")
    assert evaluate.settings([word for word in words if not word.startswith("run=")]).parts
    assert [word for word in words if word.startswith("run=")]


@pytest.mark.parametrize("words", commands("satae-report"))
def test_every_command_about_reports_in_the_documents_is_one(words):
    assert report.parse(words).folders


HELP = ROOT / "conf" / "config.yaml"


def typed_lines():
    """Every command line that a user reads, with its file: in the help, what comes before its explanation."""
    for document in [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "Makefile"]:
        for line in re.findall(r"(?:^[ \t]*|`|/)(satae-\w+ +[^`\n]*)", document.read_text("utf-8"), re.MULTILINE):
            yield document.name, line.replace("$(ARGS)", "")
    for line in re.findall(r"^ +(satae-train +.*?)(?:  |$)", HELP.read_text("utf-8"), re.MULTILINE):
        yield HELP.name, line


def test_a_shell_can_read_every_command_line():
    lines = [*typed_lines()]
    assert {"README.md", "config.yaml"} <= {name for name, _ in lines}
    for name, line in lines:
        words = shlex.shlex(line, posix=True, punctuation_chars="()")
        words.whitespace_split = True
        assert not [word for word in words if word in ("(", ")")], (name, line)


@pytest.mark.parametrize("name", FILES)
def test_messages_quote_what_a_shell_would_not_read(name):
    said = [node.value for node in ast.walk(tree(name)) if isinstance(node, ast.Constant)]
    assert not [text for text in said if isinstance(text, str) and re.search(r"(?<!['\w])\w+=range\(", text)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_folders_are_named_in_the_order_that_the_sweeps_of_a_document_have(document):
    text = document.read_text("utf-8")
    orders = [re.findall(r"([\w.]+)=[^ ]*(?:,|range)", line) for line in re.findall("satae-train ([^`#\n]*)", text)]
    for name in re.findall(r"(?:\w+=[\w.]+,)+\w+=[\w.]+", text):
        keys = re.findall(r"(\w+)=", name)
        assert any([key for key in order if key in keys] == keys for order in orders), name


def test_there_are_commands_to_try():
    assert len(commands("satae-report")) >= 2
    assert len(commands("satae-eval")) >= 2
    assert len(commands("satae-train")) >= 5
    assert len(commands("satae-data")) >= 5


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.exists()], ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


def named_in_the_tree():
    """Every module that docs/source.md names, once for each time."""
    block = (ROOT / "docs" / "source.md").read_text("utf-8").partition("src/satae/\n")[2].partition("```")[0]
    around: list[str] = []
    for line in block.splitlines():
        indent, folder = re.match(r"( *)(\w+/)?", line).groups()
        around = [*around[: len(indent) // 2 - 1], *filter(None, [folder])]
        yield from (f"{''.join(around)}{word}" for word in re.findall(r"\b\w+\.py\b", line))


def test_the_documents_name_every_module_once():
    modules = [name for name in FILES if Path(name).name != "__init__.py"]
    assert sorted(named_in_the_tree()) == sorted(modules)


def test_the_readme_names_every_room():
    tree = (ROOT / "README.md").read_text("utf-8").partition("## What is where\n")[2]
    rooms = {name.partition("/")[0] for name in FILES if "/" in name}
    assert {*re.findall(r"(?<=  )(\w+)/", tree)} == rooms
