"""The rooms of the house: which package may import which, where a library is used, and what no file may do."""

import ast
import functools
import sys
import tomllib
from pathlib import Path

import pytest
from program import ROOT

SOURCE = ROOT / "src" / "satae"
FILES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}

# from top to bottom: a room may import itself, every room below it, and the leaves
COMMANDS = ("programs", "train", "evaluate", "report", "export", "datasets", "library", "estimator", "export_codes")
ROOMS = (
    *("cli", "launchers", "page", "evaluation", "sweeps", "loggers", "plots", "runs"),
    *("experiment", "training", "robustness", "data", "model", "config"),
)
LEAVES = ("errors", "atomic_write", "messages", "signals")  # they import the standard library alone
HOMES = {  # the rooms, commands or files that may import a library
    "hydra": {"cli"},
    "omegaconf": {"cli", "config", "runs"},
    "tensorboard": {"loggers", "sweeps", "evaluation"},
    "torch.utils.tensorboard": {"loggers", "sweeps", "evaluation"},
    "sklearn": {"evaluation", "estimator.py"},
    "skimage": {"evaluation"},
    "matplotlib": {"plots"},
    "PIL": {"plots", "data"},
    "jinja2": {"page"},
    "rich": {"loggers", "sweeps", "evaluation", "datasets.py"},
    "scipy": {"data", "sweeps"},
    "pooch": {"data"},
    "requests": {"data"},
    "filelock": {"data", "runs", "sweeps"},
    "safetensors": {"training"},
    "yaml": {"config"},
    "onnxruntime": {"export.py"},
    "tqdm": {"data"},
    "datasets": {"data"},
    "joblib": {"launchers", "training"},
    "submitit": {"launchers"},
    "ray": {"launchers"},
    "pickle": {"data"},
    "foolbox": {"robustness"},
    "pyautoattack": {"robustness"},
}
HEAVY = {"torch", "numpy", "matplotlib", "sklearn", "PIL", "tensorboard", "rich"}
UNSAFE = {"eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "yaml.load", "yaml.unsafe_load"}
SAFE_WITH = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False", "numpy.load": "allow_pickle=False"}


@functools.cache
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


@functools.cache
def everything_imported(name):
    return frozenset(imported(ast.walk(tree(name))))


def at_the_top(name):
    """What is imported as soon as the module is: not what functions import."""
    return set(imported(tree(name).body))


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def room(dotted):
    """The room of a module of ours: "model" for "satae.model.activations.slope"; a command and a leaf are their own."""
    return [*dotted.split("."), ""][1]


@pytest.mark.parametrize("name", [name for name in FILES if room(f"satae.{name.replace('/', '.')}") in ROOMS])
def test_imports_go_downwards(name):
    here = name.partition("/")[0].removesuffix(".py")
    below = {*ROOMS[ROOMS.index(here) :], *LEAVES, "conf", "__version__"}
    ours = {module for module in everything_imported(name) if within(module, ["satae"])}
    upwards = {room(module) for module in ours if room(module) not in below}
    assert not upwards


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if f"{leaf}.py" in FILES])
def test_a_leaf_imports_the_standard_library_alone(leaf):
    known = {module.partition(".")[0] for module in everything_imported(f"{leaf}.py")}
    assert known - sys.stdlib_module_names == set()


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_known_where_it_has_its_home(library):
    known = {name for name in FILES if any(within(module, [library]) for module in everything_imported(name))}
    assert known
    assert {name for name in known if not {name, name.partition("/")[0]} & HOMES[library]} == set()


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("config/")])
def test_config_knows_nothing_heavy(name):
    assert not {module for module in everything_imported(name) if within(module, HEAVY)}


@pytest.mark.parametrize("name", ["__init__.py", "cli/plan.py", "cli/compose.py", "train.py", "evaluate.py"])
def test_the_command_line_imports_nothing_heavy_at_first(name):
    light = {"satae.cli", "satae.launchers", "satae.config", "satae.runs.layout", "satae.runs.own_files"}
    light |= {*(f"satae.{leaf}" for leaf in LEAVES), "satae.library"}
    found = {module for module in at_the_top(name) if within(module, HEAVY | {"satae"})}
    assert {module for module in found if not within(module, light)} == set()


@pytest.mark.parametrize("name", ["train.py", "evaluate.py", "library.py"])
def test_an_interrupt_is_heard_before_what_takes_time_is_imported(name):
    slow = ["hydra", "omegaconf", "satae.config", "satae.cli"]
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
