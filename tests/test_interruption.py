"""Signals raise an error, are held back, and end a program without a traceback."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from program import ROOT, TINY, close_logs, files, read, replaced

import satae
from satae import signals
from satae.config.registry import Registry
from satae.experiment.experiment import Experiment
from satae.signals import Interrupted
from satae.train import main
from satae.training.checkpoint import latest_checkpoint

IN_THE_FOREGROUND = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}


@pytest.fixture(autouse=True)
def _in_the_foreground():
    """Receive interrupts even if a shell started the tests in the background, where they are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_raises_an_error_unless_signals_are_held(number):
    with pytest.raises(Interrupted) as error, signals.handle_signals(""):
        signal.raise_signal(number)
    assert (error.value.number, str(error.value)) == (number, number.name)


def test_a_signal_that_is_held_is_raised_at_the_end():
    done = []

    def interrupted():
        with signals.handle_signals(""), signals.hold_signals():
            signal.raise_signal(signal.SIGTERM)
            assert signals.pending_signal() == signal.SIGTERM
            done.append("the rest")

    with pytest.raises(Interrupted):
        interrupted()
    assert done == ["the rest"]


def test_a_signal_while_a_choice_is_imported_waits_until_its_module_is_there(tmp_path, monkeypatch):
    """Torch, which many of these modules import, aborts the process if an exception is raised inside it."""
    (tmp_path / "interrupted_home.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nIS_WHOLE = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with signals.handle_signals(""), pytest.raises(Interrupted):
        Registry("act", "interrupted_home")["anything"]
    assert sys.modules.pop("interrupted_home").IS_WHOLE


def test_another_error_comes_before_a_held_signal():
    def failing():
        with signals.handle_signals(""), signals.hold_signals():
            signal.raise_signal(signal.SIGTERM)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        failing()


def test_a_repeated_interrupt_does_not_interrupt_the_cleanup():
    def interrupted():
        with signals.handle_signals(""):
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                with signals.hold_signals():
                    signal.raise_signal(signal.SIGINT)  # within half a second: taken for the first one

    with pytest.raises(Interrupted):
        interrupted()


def test_handlers_are_restored_unless_the_program_ends():
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with signals.handle_signals(""):
        pass
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before
    with pytest.raises(Interrupted), signals.handle_signals(""):
        signal.raise_signal(signal.SIGINT)
    for number in signals.SIGNALS:
        signal.raise_signal(number)  # shows nothing
    assert signals.pending_signal() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_the_shell_ignores_is_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with signals.handle_signals(""):
            signal.raise_signal(number)
            assert signals.pending_signal() is None
    finally:
        signal.signal(number, before)


def test_a_worker_handles_every_signal_but_ignores_a_hangup_that_the_program_ignores(tmp_path):
    code = """
import signal
from satae import signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signals.hold_signals_in_worker()
signal.raise_signal(signal.SIGHUP)
print(signals.pending_signal())
signal.raise_signal(signal.SIGTERM)
print(signals.pending_signal())
"""
    assert _run(tmp_path, code).stdout == "None\n15\n"


@pytest.fixture
def terminal():
    """Both ends of a terminal; the first is closed by the test."""
    ends = os.openpty()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("is_told", [True, False], ids=["hangup", "no signal"])
def test_a_closed_terminal_ends_a_run_with_a_checkpoint_only_if_it_is_told(tmp_path, monkeypatch, terminal, is_told):
    master, slave = terminal
    measure = Experiment.measure

    def closing(experiment, epoch):
        if epoch.number == 2:
            os.close(master)
            if is_told:
                signal.raise_signal(signal.SIGHUP)
        return measure(experiment, epoch)

    monkeypatch.setattr(Experiment, "measure", closing)
    with os.fdopen(slave, "w", buffering=1) as output:
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(sys, "stderr", output)
        monkeypatch.setattr(
            sys, "argv", ["satae-train", *replaced([*TINY, "epochs=4"]), f"hydra.run.dir={tmp_path / 'run'}"]
        )
        code = main()
    close_logs()
    record = read(tmp_path / "run" / "run.json")
    assert (record["status"], record["exit_code"]) == (("interrupted", 129) if is_told else ("finished", 0))
    assert code in ((129,) if is_told else (0, 141))
    assert latest_checkpoint(tmp_path / "run").step == (4 if is_told else 8)


def _run(folder, code, *words):
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **IN_THE_FOREGROUND)


@pytest.mark.parametrize("module", ["train", "evaluate"])
def test_control_c_before_the_imports_shows_no_traceback(tmp_path, module):
    code = f"""
import signal, sys
from satae.{module} import main

class Interrupting:
    def find_spec(name, *_):
        if name.startswith("satae.cli"):
            signal.raise_signal(signal.SIGINT)

sys.argv = ["satae", "--help"]
sys.meta_path.insert(0, Interrupting)
main()
"""
    done = _run(tmp_path, code)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("program", ["train", "evaluate", "report", "export", "datasets"])
def test_control_c_in_the_first_import_of_a_program_shows_no_traceback(tmp_path, program):
    code = f"""
import signal, sys
from satae import programs

class Interrupting:
    def find_spec(name, *_):
        if name == "satae.{program}":
            signal.raise_signal(signal.SIGINT)

sys.argv = ["satae", "--help"]
sys.meta_path.insert(0, Interrupting)
programs.{program}()
"""
    done = _run(tmp_path, code)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert f"satae.programs:{program}" in scripts.values()


def test_a_program_can_be_ended_by_control_c_before_it_imports_anything_that_takes_time(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(Path(satae.__file__).parents[1])!r})
import satae.programs, signal
print(signal.getsignal(signal.SIGINT) is signal.SIG_DFL, {{"typing", "satae.signals"}} & {{*sys.modules}})
"""
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, **IN_THE_FOREGROUND)
    assert (done.stdout, done.stderr) == ("True set()\n", "")


SWALLOWED = """
import signal, sys
from satae.cli import overrides
from satae.{module} import main

check = overrides.check_single_values

def swallowing(*given):
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        pass
    return check(*given)

overrides.check_single_values = swallowing
sys.exit(main())
"""


@pytest.mark.parametrize(("module", "words"), [("train", TINY), ("evaluate", ["run=.", "evaluation=code"])])
def test_an_interrupt_that_a_library_swallows_still_ends_the_program(tmp_path, module, words):
    done = _run(tmp_path, SWALLOWED.format(module=module), *words)
    name = {"train": "satae-train", "evaluate": "satae-eval"}[module]
    assert (done.returncode, done.stderr) == (130, f"{name}: interrupted\n")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


PANICS = """
import signal, sys

class Interrupting:
    def find_spec(name, *_):
        if name == "pydantic_core._pydantic_core":
            sys.modules.pop("datetime", None)  # its first function imports it, and panics at an exception
        elif name == "datetime" and "pydantic_core" in sys.modules:
            sys.meta_path.remove(Interrupting)
            signal.raise_signal(signal.SIGTERM)

sys.meta_path.insert(0, Interrupting)
from satae.{module} import main
sys.exit(main())
"""
PROGRAMS = {
    "train": ("satae-train", "epochs=1"),
    "evaluate": ("satae-eval", "run=."),
    "report": ("satae-report", "."),
    "export": ("satae-export", "run=.", "format=onnx"),
    "datasets": ("satae-data", "list"),
}


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_signal_while_the_rust_library_of_pydantic_starts_ends_the_program_in_one_line(tmp_path, module):
    name, *words = PROGRAMS[module]
    done = _run(tmp_path, PANICS.format(module=module), *words)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", f"{name}: interrupted (SIGTERM)\n")
    assert not [*tmp_path.iterdir()]


PANICS_LATER = """
import signal, sys
from satae.cli import overrides
from satae.train import main

class Panic(BaseException):
    pass

def panicking(*_):
    try:
        signal.raise_signal(signal.SIGTERM)
    except BaseException as error:
        raise Panic from error

overrides.check_single_values = panicking
sys.exit(main())
"""


def test_an_interrupt_that_becomes_a_panic_ends_the_program_in_one_line(tmp_path):
    done = _run(tmp_path, PANICS_LATER, *TINY)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "satae-train: interrupted (SIGTERM)\n")


AFTER_TRAINING = """
import signal, sys, time
from satae.{module} import {function} as original
import satae.{module} as module
from satae.train import main

def interrupting(*given, **more):
    signal.raise_signal(signal.SIGINT)
    {again}
    return original(*given, **more)

module.{function} = interrupting
sys.exit(main())
"""
TWICE = "time.sleep(0.6); signal.raise_signal(signal.SIGINT)"
REPORT = "write the report with: satae-report outputs/first"


@pytest.mark.parametrize(
    ("module", "function", "again", "words", "line"),
    [
        ("page.writing", "write_report", "", ("sweep=first", "seed=0,1"), f"all 2 runs have ended; {REPORT}"),
        ("page.writing", "write_report", TWICE, ("sweep=first", "seed=0,1"), f"all 2 runs have ended; {REPORT}"),
        ("plots.pictures", "save", "", ("sweep=first", "seed=7"), f"the run has ended; {REPORT}"),
        ("plots.pictures", "save", "", (), "the run has ended"),
    ],
)
def test_control_c_after_the_last_epoch_says_that_all_runs_have_ended(tmp_path, module, function, again, words, line):
    code = AFTER_TRAINING.format(module=module, function=function, again=again)
    done = _run(tmp_path, code, *TINY, *words)
    end = "ended at once" if again else "interrupted"
    assert (done.returncode, done.stderr) == (130, f"satae-train: {end}; {line}\n")


def test_control_c_before_the_last_run_does_not_say_that_all_runs_have_ended(tmp_path):
    code = AFTER_TRAINING.format(module="plots.pictures", function="save", again="")
    done = _run(tmp_path, code, *TINY, "sweep=first", "seed=0,1")
    assert (done.returncode, done.stderr) == (130, "satae-train: interrupted\n")


WORKERS = ("-m", "seed=0,1", "hydra/launcher=joblib")


@pytest.mark.parametrize(
    ("words", "waits"),
    [
        pytest.param((), (0.05, 0.9), id="alone"),
        pytest.param(WORKERS, (1.5,), id="workers"),
        pytest.param((), (0.4, 1.5), id="alone-more", marks=pytest.mark.slow),
        pytest.param(WORKERS, (0.05, 0.4, 0.9), id="workers-more", marks=pytest.mark.slow),
    ],
)
def test_control_c_at_any_time_shows_no_traceback(tmp_path, words, waits):
    code = "import sys; from satae.train import main; print('up', flush=True); sys.exit(main())"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "process_group": 0}
    for wait in waits:
        command = [sys.executable, "-c", code, *replaced([*TINY, "epochs=100000", *words])]
        with subprocess.Popen(command, cwd=tmp_path, **pipes, **IN_THE_FOREGROUND) as program:
            assert program.stdout.readline() == "up\n"
            time.sleep(wait)
            for _ in range(2):  # as an impatient user does
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGINT)
                time.sleep(0.03)
            out, err = program.communicate(timeout=60)
        assert "Traceback" not in err
        kept = [path.read_text() for path in tmp_path.glob("outputs/*/*/*.log")]
        # before it listens, Ctrl-C itself ends it
        assert program.returncode in (130, -signal.SIGINT), (wait, out, err, kept)
    assert not [name for name in files(tmp_path) if "partial" in name]
