"""The wheel holds all that the program needs, and works from any folder, without a network."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from program import ROOT, TINY, files, read, runs, there

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("build")
    copy = folder / "checkout"
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(copy)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The program in an environment of its own, which sees the libraries of this one but not the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    (folder / "libraries").mkdir()
    for library in Path(sysconfig.get_path("purelib")).iterdir():
        if "satae" not in library.name:  # the editable install of the checkout
            (folder / "libraries" / library.name).symlink_to(library)
    (place,) = folder.glob("lib/python*/site-packages")
    (place / "libraries.pth").write_text(f"{folder / 'libraries'}\n")
    return folder / "bin" / "satae-train"


def test_the_wheel_holds_every_module_and_every_configuration(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kinds = (".py", ".html", ".css", "py.typed")
    modules = {f"satae/{name}" for name in files(ROOT / "src" / "satae") if name.endswith(kinds)}
    choices = {f"satae/conf/{name}" for name in files(ROOT / "conf") if name.endswith((".yaml", ".py"))}
    assert held == modules | choices


def test_the_wheel_runs_a_training(installed, tmp_path):
    where = [str(installed.with_name("python")), "-c", "import satae; print(satae.__file__)"]
    assert "site-packages/satae/" in subprocess.check_output(where, text=True, cwd=tmp_path)
    program = (str(installed),)
    helped = there(tmp_path, "--help", program=program)
    assert helped.code == 0
    assert "satae-train alpha=0.1 act=relu" in helped.out
    ran = there(tmp_path, *TINY, "alpha=0.1", "act=relu", program=program)
    assert (ran.code, ran.err) == (0, "")
    (run,) = runs(tmp_path)
    record = read(run / "run.json")
    assert (record["status"], record["sources"]) == ("finished", None)


def test_the_wheel_runs_a_sweep(installed, tmp_path):
    words = [*TINY, "epochs=1", "-m", "alpha=0,0.1", "act=relu,satlin"]
    swept = there(tmp_path, *words, program=(str(installed),))
    assert (swept.code, swept.err) == (0, "")
    assert len(runs(tmp_path)) == 4


def test_the_wheel_refuses_bad_input(installed, tmp_path):
    refused = there(tmp_path, "act=rleu", program=(str(installed),))
    assert refused.code == 2
    assert refused.err.endswith("did you mean relu?\n")
    assert files(tmp_path) == []
