"""The command line: exit codes, help, completion, and that nothing heavy is imported before it is needed."""

import contextlib
import functools
import itertools
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time

import numpy
import pytest
import torch
from program import PROGRAM, ROOT, TINY, files, here, read, replaced, runs, there, typed

import satae
from satae import datasets, evaluate, export, report, train
from satae.cli import flags
from satae.cli.compose import compose_runs
from satae.cli.run_options import read_run_options
from satae.config.registry import choice_names, conf_folder
from satae.config.schema import GROUPS, PRESETS, Config, default_choice
from satae.experiment import experiment
from satae.messages import format_value
from satae.training import loop
from satae.training.checkpoint import latest_checkpoint

HEAVY = ["torch", "numpy", "matplotlib", "sklearn", "PIL", "tensorboard"]
TRAINED = loop.fit


def stopped_by(error, *, after=1, at_alpha=None):
    """``fit``, ended by an error after some epochs, in the runs with a certain alpha."""

    def broken(*given, **options):
        alpha = given[5](1.0)
        for moment in TRAINED(*given, **options):
            yield moment
            if moment.epoch and moment.epoch.number == after and at_alpha in (None, alpha):
                raise error

    return broken


@pytest.mark.parametrize("module", [train, evaluate, report, export, datasets], ids=lambda module: module.__name__)
def test_each_command_also_starts_as_a_module(module):
    shown = typed(lambda: runpy.run_path(module.__file__, run_name="__main__"), "satae", "--help")
    assert (shown.code, shown.err) == (0, "")
    assert "usage: satae-" in shown.out or shown.out.startswith("satae-")


# exit codes


def test_a_finished_run_gives_0_and_nothing_on_stderr(tmp_path):
    outcome = here(tmp_path, *TINY)
    assert (outcome.code, outcome.err) == (0, "")
    (run,) = runs(tmp_path)
    assert read(run / "run.json")["status"] == "finished"


def test_a_fault_gives_1_and_one_line_that_names_the_log_with_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "fit", stopped_by(RuntimeError("the disk\nis on fire")))
    outcome = here(tmp_path, *TINY)
    (run,) = runs(tmp_path)
    log = run / "satae-train.log"
    assert outcome.code == 1
    go_on = f"satae-train resume={run.relative_to(tmp_path)}"
    assert outcome.err == f"satae-train: RuntimeError: the disk; resume with: {go_on}; the traceback is in {log}\n"
    assert "Traceback (most recent call last)" in log.read_text()
    assert "is on fire" in log.read_text()
    record = read(run / "run.json")
    assert (record["status"], record["error"]) == ("failed", "RuntimeError: the disk\nis on fire")
    assert not (run / "metrics.json").exists()


def test_a_full_disk_is_a_fault_in_one_line(tmp_path):
    size = 40 * 512  # bytes: enough for the log, not for a checkpoint
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    code = f"{limit}; from satae.train import main; raise SystemExit(main())"
    outcome = there(tmp_path, *TINY, "arch.widths=[64]", program=(sys.executable, "-c", code))
    assert outcome.code == 1
    assert outcome.err.startswith("satae-train: ")
    assert "the traceback is in" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    (run,) = runs(tmp_path)
    assert read(run / "run.json")["status"] == "failed"
    assert not list(run.glob("*.partial"))


def test_a_loss_that_is_not_finite_gives_3_with_the_step_and_the_last_finite_value(tmp_path):
    outcome = here(tmp_path, *TINY, "optim=sgd", "optim.lr=1e30", "reduction=sum")
    assert outcome.code == 3
    assert re.search(r"the training loss is (nan|inf) at step \d+, after [\d.e+]+ the step before", outcome.err)
    assert len(outcome.err.splitlines()) == 1
    (run,) = runs(tmp_path)
    assert read(run / "run.json")["status"] == "failed"
    assert "NonFiniteLoss" in read(run / "run.json")["error"]


def test_the_last_good_checkpoint_survives_a_loss_that_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "fit", stopped_by(loop.NonFiniteLoss(7, float("nan"), 0.25)))
    outcome = here(tmp_path, *TINY, "checkpoint.every_epochs=1")
    (run,) = runs(tmp_path)
    assert outcome.code == 3
    assert outcome.err.startswith(
        f"satae-train: {run}: the training loss is nan at step 7, after 0.25 the step before; try"
    )
    state = latest_checkpoint(run)
    assert state.facts["step"] == 2
    assert all(torch.isfinite(value).all() for value in state.part("model").values())


def test_weights_that_are_not_finite_are_not_saved(tmp_path, monkeypatch):
    real, counts = experiment.Experiment.state, itertools.count()

    def spoilt(self):
        if next(counts) == 2:
            first = next(self.model.parameters())
            self.optimizer.state[first]["exp_avg_sq"][0, 0] = float("inf")
        return real(self)

    monkeypatch.setattr(experiment.Experiment, "state", spoilt)
    outcome = here(tmp_path, *TINY, "checkpoint.every_steps=1")
    (run,) = runs(tmp_path)
    assert outcome.code == 3
    assert "a weight is not finite after step 3; try a smaller optim.lr" in outcome.err
    assert latest_checkpoint(run).facts["step"] == 2


def test_an_interrupt_gives_130_and_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "fit", stopped_by(KeyboardInterrupt()))
    outcome = here(tmp_path, *TINY)
    assert (outcome.code, outcome.err) == (130, "satae-train: interrupted\n")
    (run,) = runs(tmp_path)
    assert read(run / "run.json")["status"] == "interrupted"


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("broken"), 1), (loop.NonFiniteLoss(7, 1e99, None), 3)])
def test_one_run_of_a_sweep_that_fails_leaves_the_others_running(tmp_path, monkeypatch, error, code):
    monkeypatch.setattr(experiment, "fit", stopped_by(error, at_alpha=0.1))
    outcome = here(tmp_path, *TINY, "-m", "alpha=0,0.1,1")
    assert outcome.code == code
    assert len(outcome.err.splitlines()) == 1
    assert [read(run / "run.json")["status"] for run in runs(tmp_path)] == ["finished", "failed", "finished"]
    assert here(tmp_path, *TINY, "alpha=0").code == 0  # nothing of it is remembered


def test_an_interrupt_ends_a_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "fit", stopped_by(KeyboardInterrupt(), at_alpha=0.1))
    outcome = here(tmp_path, *TINY, "-m", "alpha=0,0.1,1")
    assert (outcome.code, outcome.err) == (130, "satae-train: interrupted\n")
    assert [read(run / "run.json")["status"] for run in runs(tmp_path)] == ["finished", "interrupted"]


def test_a_fault_before_any_run_gives_1_and_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("satae.experiment.before_training.check_config", lambda config: 1 / 0)
    outcome = here(tmp_path, *TINY)
    assert outcome.code == 1
    assert outcome.err == "satae-train: ZeroDivisionError: division by zero (HYDRA_FULL_ERROR=1 shows where)\n"
    assert files(tmp_path) == []
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ZeroDivisionError):
        here(tmp_path, *TINY)


def until_it_ends(program):
    """Press Ctrl-C, again where it was lost: Python drops one that falls into a finaliser."""
    for _ in range(5):
        program.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.communicate(timeout=15)
    program.kill()
    return program.communicate()


@pytest.mark.parametrize(
    "words", [[], pytest.param(["-m", "seed=0,1,2"], marks=pytest.mark.slow)], ids=["run", "sweep"]
)
def test_control_c_ends_the_program(tmp_path, words):
    command = [PROGRAM, *replaced([*TINY, "epochs=100000", *words])]
    # a background job of a shell starts with Ctrl-C ignored
    listen = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    program = subprocess.Popen(command, cwd=tmp_path, preexec_fn=listen, **pipes)
    with program:
        while not list(tmp_path.rglob("metrics.jsonl")) and program.poll() is None:
            time.sleep(0.05)
        err = until_it_ends(program)[1]
    assert program.returncode == 130
    (run,) = runs(tmp_path)
    remedy = "" if words else f"; resume with: satae-train resume={run.relative_to(tmp_path)}"
    assert err == f"satae-train: interrupted{remedy}\n"
    assert read(run / "run.json")["status"] == "interrupted"


@pytest.mark.parametrize(
    "words",
    [
        "epochs=1 batch_size=2000 optim.lr=1e30",
        "data=manifold alpha=0 batch_size=2000 optim=sgd optim.lr=1e10 arch.widths=[64]",
        "optim=sgd optim.lr=10 epochs=8 data.limit=100",
        "optim=sgd optim.lr=1e6 epochs=20 data.limit=200",
    ],
)
def test_a_run_that_diverges_gives_3_and_one_line(tmp_path, words):
    outcome = here(tmp_path, "threads=1", *words.split())
    assert outcome.code == 3, outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert "try a smaller optim.lr" in outcome.err


def test_a_diverged_run_prints_a_command_that_reruns_it(tmp_path):
    words = [word for word in TINY if not word.startswith("epochs")]
    outcome = here(tmp_path, *words, "epochs=1", "optim=sgd", "optim.lr=1e30", "reduction=sum", "hydra.run.dir=run")
    message, _, command = outcome.err.partition(", such as with: ")
    assert message.endswith("; try a smaller optim.lr or alpha")
    assert command == "satae-train rerun=run optim.lr=1e+29\n"
    assert here(tmp_path, *shlex.split(command)[1:-1], "optim.lr=0.01", "reduction=mean").code == 0


def test_a_terminal_without_our_characters_ends_no_run(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "latin-1"}
    command = [PROGRAM, "data=manifold", *TINY]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_run_finishes_when_nobody_reads_its_output(tmp_path):
    line = f"{shlex.join([PROGRAM, *replaced([*TINY, 'epochs=30'])])} | head -1"
    subprocess.run(line, shell=True, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (run,) = runs(tmp_path)
    deadline = time.monotonic() + 60
    while read(run / "run.json")["status"] == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert read(run / "run.json")["status"] == "finished"


# help, --cfg, completion


@pytest.fixture(scope="module")
def help_text(tmp_path_factory):
    return here(tmp_path_factory.mktemp("help"), "--help").out


def test_help_names_every_group_choice_option_and_setting(help_text):
    shown = set(re.findall(r"[\w./]+", help_text))
    assert {*GROUPS, *(name for registry in GROUPS.values() for name in registry.names())} <= shown
    assert {item for item in Config.__dataclass_fields__} <= shown
    assert set(choice_names(PRESETS, is_nested=True)) <= shown
    for group, registry in GROUPS.items():
        for option in {option for name in registry.names() for option in registry.defaults(name)}:
            assert f"{group}.{option}" in shown


def test_help_shows_the_default_of_every_option(help_text):
    shown = {*re.findall(r"[a-z]\w*\.\w+=[^ ()\n]+", help_text.replace(")", ""))}
    for group, registry in GROUPS.items():
        for name in registry.names():
            for option, value in registry.defaults(name).items():
                assert f"{group}.{option}={'...' if value == '???' else format_value(value)}" in shown


@pytest.mark.parametrize("program", [train, evaluate, export, report, datasets])
def test_help_fits_into_80_columns(program):
    code, out, _ = typed(program.main, "satae", "--help")
    assert (code, [line for line in out.splitlines() if len(line) > 80]) == (0, [])


def test_every_option_has_a_meaning_that_help_shows(help_text):
    shown = " ".join(help_text.split())
    files = [file for group in GROUPS for file in (conf_folder() / group).iterdir()]
    for file in [conf_folder() / "config.yaml", *files]:
        lines = map(flags.OPTION_LINE.match, file.read_text("utf-8").partition("\nhydra:")[0].splitlines())
        meanings = {found[2]: found[4] for found in lines if found and found[2] not in ("name", "defaults")}
        # the description of satlin says what low and high are
        assert {key for key, meaning in meanings.items() if not meaning} <= {"low", "high"}, file
        if file in (conf_folder() / "optim" / "sgd.yaml", conf_folder() / "noise" / "gaussian.yaml", files[0]):
            assert [meaning for meaning in meanings.values() if meaning and meaning not in shown] == []


def test_help_marks_the_default_of_each_group(help_text):
    marked = re.findall(r"^ {14}\(default: (\w+)", help_text, re.MULTILINE)
    assert marked == [default_choice(group).name for group in GROUPS]


def test_every_command_in_help_can_be_run(help_text):
    commands = re.findall(r"^ +satae-train ((?:-m )?[a-z]+=.*?)(?: {2,}.*)?$", help_text, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        words = shlex.split(command)
        if words[0] in ("resume=RUN", "rerun=RUN", "plugins=ramp.py") or words == ["sweep=first"]:
            continue
        options = read_run_options([word for word in words if word != "-m"], "-m" in words)
        assert compose_runs(*options.commands, multirun=options.multirun)[0]


@pytest.mark.parametrize("shown", ["job", "hydra", "all"])
def test_cfg_shows_the_configuration_and_writes_nothing(tmp_path, shown):
    outcome = here(tmp_path, "--cfg", shown, "alpha=0.25")
    assert (outcome.code, outcome.err, files(tmp_path)) == (0, "", [])
    assert ("alpha: 0.25" in outcome.out) == (shown != "hydra")


def test_options_may_stand_on_both_sides_of_a_flag(tmp_path):
    assert "alpha: 3\n" in here(tmp_path, "act=tanh", "--cfg", "job", "alpha=3").out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("act=", [f"act={name}" for name in GROUPS["act"].names()]),
        ("act=r", ["act=relu", "act=relu6"]),
        ("no", ["noise.", "noise="]),
        ("noise=masking noise.", ["noise.level="]),
        ("alpha=0.1 ep", ["epochs=", "eps="]),
    ],
)
def test_completion(tmp_path, monkeypatch, typed, offered):
    line = f"satae-train {typed}"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    outcome = here(tmp_path, "--shell-completion", "query=bash")
    assert (outcome.code, outcome.err, files(tmp_path)) == (0, "", [])
    assert set(offered) <= set(outcome.out.split())


def test_the_line_that_help_gives_for_completion_works(tmp_path, help_text):
    arguments, *_ = re.findall(r'eval "\$\(satae-train (.*)\)"', help_text)
    script = here(tmp_path, *arguments.split()).out
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "--cfg job",
        "aplha=1",
        "alpha=-1",
        "act=rleu",
        "optim.lr=0.1,0.2",
        "arch.widths=16,8",
        "-m alpha=0,-1",
        "--shell-completion query=bash",
    ],
)
def test_nothing_heavy_is_imported_where_nothing_is_built(tmp_path, line):
    code = (
        "import sys; from satae.train import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('imported', *sorted({{*{HEAVY}}} & {{*sys.modules}}))"
    )
    outcome = there(tmp_path, *line.split(), program=(sys.executable, "-c", code), COMP_LINE="satae-train act=")
    assert outcome.out.splitlines()[-1] == "imported"


# one program, three ways to start it

TOOLS = {
    "satae-train": (PROGRAM,),
    "module": (sys.executable, "-m", "satae.train"),
    "file": (sys.executable, str(ROOT / "src" / "satae" / "train.py")),
}


def test_the_three_ways_to_start_show_the_same_configuration(tmp_path):
    shown = {there(tmp_path, "--cfg", "job", "act=tanh", program=way) for way in TOOLS.values()}
    assert len(shown) == 1
    assert shown.pop().code == 0


def test_the_three_ways_to_start_refuse_alike(tmp_path):
    assert len({there(tmp_path, "aplha=1", program=way) for way in TOOLS.values()}) == 1


@pytest.mark.slow
def test_the_three_ways_to_start_give_the_same_numbers(tmp_path):
    results = []
    for name, way in TOOLS.items():
        outcome = there(tmp_path, *TINY, f"hydra.run.dir={name}", program=way)
        assert (outcome.code, outcome.err) == (0, "")
        results += [read(tmp_path / name / "metrics.json")]
    untimed = [{key: value for key, value in result.items() if not key.endswith("_s")} for result in results]
    assert untimed[0] == untimed[1] == untimed[2]


def test_a_configuration_folder_of_the_users_own(tmp_path):
    preset = tmp_path / "own" / "experiment" / "mine.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("# @package _global_\ndefaults:\n  - override /act: tanh\nalpha: 0.5\n")
    shown = here(tmp_path, "--config-dir", "own", "--cfg", "job", "experiment=mine")
    assert (shown.code, shown.err) == (0, "")
    assert "alpha: 0.5\n" in shown.out
    assert here(tmp_path, "--config-dir", "own", *TINY, "experiment=mine").code == 0
    refused = here(tmp_path, "--config-dir", "own", "experiment=mien")
    assert "experiment=mien: choose one of" in refused.err
    assert refused.err.endswith("did you mean mine?\n")


@pytest.mark.parametrize("name", ["données (1).npy", "a b.npy", "it's.npy", "x[1]{2}.npy", "~/x.npy"])
def test_file_names_need_no_quotes_for_hydra(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = tmp_path / name if not name.startswith("~") else tmp_path / "home" / "x.npy"
    file.parent.mkdir(exist_ok=True)
    numpy.save(file, numpy.linspace(0, 1, 400, dtype="float32").reshape(100, 4))
    small = ("epochs=1", "threads=1", "arch.widths=[3]")
    outcome = here(tmp_path, "data=array", f"data.path={name}", *small)
    assert (outcome.code, outcome.err) == (0, "")
    (run,) = runs(tmp_path)
    assert satae.load(run)(torch.rand(2, 4)).shape == (2, 4)
    facts = read(run / "run.json")
    assert (facts["data"]["train"], facts["data"]["shape"], facts["folder"]) == (70, [4], str(tmp_path))


def test_the_version_is_that_of_satae(tmp_path):
    assert here(tmp_path, "--version") == (0, f"satae {satae.__version__}\n", "")


def test_help_is_shown_without_the_flags_that_are_not_offered(help_text):
    assert not [flag for flag in ("--experimental-rerun", "--config-path", "$") if flag in help_text.replace("$(", "")]


def test_a_run_imports_neither_the_compiler_nor_scikit_learn(tmp_path):
    line = (
        "import sys; from satae.train import main; main();"
        "print({'torch._dynamo', 'sklearn', 'pandas', 'matplotlib'} & {*sys.modules})"
    )
    outcome = there(tmp_path, "-c", line, *TINY, program=(sys.executable,))
    assert outcome.out.splitlines()[-1] == "set()"
