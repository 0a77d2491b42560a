"""A sweep resumes, grows, refuses what would make it another one, and lists its failures."""

import csv
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import time

import pytest
from omegaconf import OmegaConf
from program import PROGRAM, TINY, files, here, read, there

from benchmarks.report_size import png
from satae import signals
from satae.cli.compose import ComposedRun
from satae.experiment import experiment
from satae.page import writing
from satae.page.writing import write_report
from satae.plots.style import Drawing
from satae.runs import locks
from satae.runs.layout import RUNS_CSV_FILE
from satae.sweeps import aggregate, manifest, results, tensorboard_sweep
from satae.sweeps.csv_files import RUN_COLUMNS, metric_column
from satae.training.loop import NonFiniteLoss, fit

WORDS = (*TINY, "alpha=0,0.1", "seed=0,1", "sweep=first")
NAMES = [f"alpha={alpha},seed={seed}" for alpha in ("0", "0.1") for seed in (0, 1)]
TIMED = ("wall_s", "samples_per_s")


def untimed(run):
    return {key: value for key, value in read(run / "metrics.json").items() if key not in TIMED}


def table(sweep):
    """The rows of runs.csv, but for times and where they were made."""
    apart = {*RUN_COLUMNS, *map(metric_column, TIMED)}
    with (sweep / RUNS_CSV_FILE).open(encoding="utf-8", newline="") as file:
        return [{key: value for key, value in row.items() if key not in apart} for row in csv.DictReader(file)]


def status_in_tensorboard(run):
    """How HParams says that a run ended."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

    content = EventAccumulator(str(run)).Reload().SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    return api_pb2.Status.Name(plugin_data_pb2.HParamsPluginData.FromString(content).session_end_info.status)


def failing(monkeypatch, error, *, at):
    """Have the training of some runs end with an error."""

    def failed(*args, **named):
        alpha = args[5](1.0)
        if alpha in at:
            raise error
        return fit(*args, **named)

    monkeypatch.setattr(experiment, "fit", failed)


@pytest.fixture(autouse=True)
def _blank_charts(monkeypatch):
    """Draw no charts: they cost more than the training, and tests/page looks at them."""
    monkeypatch.setattr(writing, "draw_chart", blank_chart)


def blank_chart(chart):
    return Drawing(
        chart.name, chart.title, chart.caption, chart.title, png(random.Random(0), side=8), "<svg/>", is_wide=False
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    outcome = here(folder, *WORDS)
    return folder / "outputs" / "first", outcome


@pytest.fixture
def finished(whole, tmp_path):
    """A folder with a copy of that sweep."""
    shutil.copytree(whole[0], tmp_path / "outputs" / "first")
    return tmp_path


def test_a_name_stands_for_a_folder_with_one_folder_for_each_configuration(whole):
    sweep, outcome = whole
    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir() and (path / "run.json").exists()) == NAMES


def test_a_finished_sweep_is_not_trained_again(whole, monkeypatch):
    sweep, outcome = whole
    monkeypatch.setattr(experiment, "fit", None)
    before = {name: (sweep / name / "run.json").read_bytes() for name in NAMES}
    for words in (WORDS, ["sweep=first"], ["sweep=outputs/first"], ["-m", *WORDS]):
        again = here(sweep.parents[1], *words)
        assert (again.code, again.err) == (0, "")
        assert again.out.splitlines()[0] == "4 runs: 4 done already (skipped)"
        lines = outcome.out.splitlines()
        start = next(place for place, line in enumerate(lines) if line.startswith("alpha  "))
        assert again.out.splitlines()[1:4] == lines[start : start + 3]
    assert {name: (sweep / name / "run.json").read_bytes() for name in NAMES} == before


def test_new_values_are_added_and_only_they_are_trained(tmp_path, whole):
    assert here(tmp_path, *TINY, "alpha=0", "seed=0,1", "sweep=first").code == 0
    outcome = here(tmp_path, *TINY, "alpha=0,0.1", "seed=0,1", "sweep=first")
    assert outcome.out.splitlines()[0] == "4 runs: 2 done already (skipped), 2 new"
    assert len(table(tmp_path / "outputs" / "first")) == 4
    assert table(tmp_path / "outputs" / "first") == [
        {**row, "run": row["run"].replace("alpha=0,", "") if row["alpha"] == "0.0" else row["run"]}
        for row in sorted(table(whole[0]), key=lambda row: row["run"].replace("alpha=0,", "z"))
    ]


def test_only_runs_that_train_are_given_hydras_options(finished, monkeypatch):
    made, process_options = [], ComposedRun.process_options
    monkeypatch.setattr(ComposedRun, "process_options", lambda *given: made.append(given) or process_options(*given))
    assert here(finished, *WORDS).code == 0
    assert made == []
    assert here(finished, *WORDS, "seed=0,1,2").code == 0
    assert {directory.name for _, directory in made} >= {"alpha=0,seed=2", "alpha=0.1,seed=2"}
    assert not any(directory.name.endswith("seed=1") for _, directory in made)


def test_another_configuration_is_refused_and_nothing_is_written(finished):
    before = files(finished)
    outcome = here(finished, *WORDS, "epochs=3", "batch_size=16")
    assert outcome.code == 2
    assert outcome.err == (
        "satae-train: epochs=3 batch_size=16: the runs of outputs/first have epochs=2 batch_size=32; repeat the same"
        " options, choose another sweep name, or give both values: epochs=2,3 batch_size=32,16\n"
    )
    assert len(outcome.err.splitlines()) == 1
    assert files(finished) == before


def test_a_short_line_for_a_sweep_is_refused_with_the_whole_line_to_type(finished):
    before = files(finished)
    outcome = here(finished, "sweep=first", "seed=2")
    (words,) = read(finished / "outputs" / "first" / "sweep.json")["words"]
    line = shlex.join(["satae-train", "sweep=outputs/first", *words]).replace("seed=0,1", "seed=2")
    assert outcome.code == 2
    assert outcome.err.startswith("satae-train: ")
    assert " the runs of outputs/first have " in outcome.err
    assert outcome.err.endswith(f"; type the whole line: {line}\n")
    assert "epochs=2,3 " in here(finished, "sweep=first", "seed=2", "epochs=3").err  # as typed, with both values
    assert files(finished) == before
    assert here(finished, *shlex.split(line)[1:]).code == 0


def test_a_sweep_records_the_values_that_interpolations_stand_for(tmp_path):
    assert here(tmp_path, *TINY, "-m", "seed=1,2", "alpha=${seed}", "hydra.sweep.dir=sweep").code == 0
    assert read(tmp_path / "sweep" / "seed=2" / "run.json")["overrides"] == [*TINY, "seed=2", "alpha=2.0"]
    written = OmegaConf.load(tmp_path / "sweep" / "multirun.yaml")
    assert written.hydra.sweep.dir == str(tmp_path / "sweep")


def test_the_options_of_another_choice_are_not_named_one_by_one(finished):
    told = here(finished, *WORDS, "noise=masking", "noise.level=0.5").err
    assert told.startswith("satae-train: noise=masking: the runs of outputs/first have noise=gaussian; repeat")


def test_execution_options_may_change(finished):
    for words in [
        (*WORDS, "checkpoint.every_steps=1", "device=cpu"),
        ("sweep=first", "device=cpu"),  # resumes it too
        (*TINY, "seed=0,1", "alpha=0,0.1", "sweep=first"),
        ("sweep=first",),
    ]:
        outcome = here(finished, *words)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.splitlines()[0] == "4 runs: 4 done already (skipped)"
    assert len(table(finished / "outputs" / "first")) == 4


def test_a_sweep_over_threads_counts_each_seed_once(tmp_path):
    outcome = here(tmp_path, *TINY, "epochs=1", "threads=1,2", "seed=0,1", "sweep=first")
    assert outcome.code == 0
    assert len(table(tmp_path / "outputs" / "first")) == 4
    (group,) = aggregate.group_runs(list(results.read_runs(tmp_path / "outputs" / "first")))
    assert (len(group.runs), len(group.one_per_seed), group.statistics("valid/fvu").n) == (4, 2, 2)
    lines = [line.split() for line in outcome.out.splitlines() if not line.startswith("run ")]
    header, row = [line for line in lines if "±" in line or "finished" in line][:2]
    assert row[header.index("finished")] == "2"


def test_an_interrupted_sweep_resumes_to_the_same_table(tmp_path, whole, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt(), at=[0.1])
    interrupted = here(tmp_path, *WORDS)
    assert (interrupted.code, interrupted.err) == (130, "satae-train: interrupted\n")
    message = "1 was interrupted and 1 has not started; resume with: satae-train sweep=outputs/first"
    assert interrupted.out.splitlines()[-1] == message
    report = tmp_path / "outputs" / "first" / "report"
    assert not report.exists()
    assert "1 of 4 runs has not started" in (write_report([report.parent]).read_text("utf-8"))
    monkeypatch.undo()
    outcome = here(tmp_path, "sweep=first")
    assert "not started" not in (report / "index.html").read_text("utf-8")
    assert outcome.out.splitlines()[0] == "4 runs: 2 done already (skipped), 1 resumed, 1 new"
    assert table(tmp_path / "outputs" / "first") == table(whole[0])


def test_missing_runs_are_counted_once_when_a_sweep_grows(tmp_path, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt(), at=[0.1])
    interrupted = here(tmp_path, *TINY, "alpha=0.1", "seed=0,1", "sweep=first")
    assert interrupted.out.splitlines()[-1].startswith("1 was interrupted and 1 has not started; ")
    interrupted = here(tmp_path, *TINY, "alpha=0.1,0", "seed=0,1", "sweep=first")  # which starts with the same run
    assert interrupted.out.splitlines()[-1].startswith("1 was interrupted and 3 have not started; ")
    interrupted = here(tmp_path, *TINY, "alpha=0.1", "seed=2", "sweep=first")
    assert interrupted.out.splitlines()[-1].startswith("2 were interrupted and 3 have not started; ")


def test_the_resume_command_names_the_launcher(tmp_path, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt(), at=[0.1])
    words = ["hydra/launcher=basic", *WORDS]
    assert here(tmp_path, *words).out.splitlines()[-1].endswith("satae-train sweep=outputs/first hydra/launcher=basic")


def test_a_varied_option_has_its_column_before_all_values_have_runs(tmp_path, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt(), at=[0.0])
    message = here(tmp_path, *WORDS).out.splitlines()
    assert [line.split()[:2] for line in message if line.startswith("alpha")] == [["alpha", "finished"]]


def test_an_interrupt_before_anything_is_written_says_so(tmp_path, monkeypatch):
    def interrupted(config):
        raise signals.Interrupted(2)

    monkeypatch.setattr("satae.experiment.before_training.check_config", interrupted)
    outcome = here(tmp_path, *WORDS)
    assert outcome.code == 130
    assert outcome.err == "satae-train: interrupted; nothing has been written: type the same line again\n"
    assert not files(tmp_path)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device", "full"), PermissionError(13, "Permission denied")], ids=repr
)
def test_a_sweep_that_cannot_be_written_is_refused_and_unchanged(tmp_path, monkeypatch, error, there):
    def refuse(*_):
        raise error

    if there:
        assert here(tmp_path, *TINY, "alpha=0", "seed=0,1", "sweep=first").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(tensorboard_sweep, "start_sweep", refuse)
    outcome = here(tmp_path, *WORDS)
    place = error.filename or tmp_path / "outputs" / "first"
    assert outcome.code == 2
    assert outcome.err == f"satae-train: {place}: cannot write there ({error.strerror}); no run has started\n"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert (tmp_path / "outputs").exists() == there


def test_a_manifest_that_is_too_long_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(manifest, "MAX_JSON_BYTES", 10)
    monkeypatch.setattr("pathlib.Path.mkdir", lambda path, *_, **__: made.append(path))
    outcome = here(tmp_path, *WORDS)
    assert outcome.code == 2
    assert outcome.err.startswith(
        f"satae-train: {tmp_path}/outputs/first/sweep.json: its commands and runs need more than 10 bytes"
    )
    assert made == []


def test_a_sweep_has_one_process_at_a_time(tmp_path, whole):
    (tmp_path / "outputs" / "first").mkdir(parents=True)
    with locks.lock_directory(tmp_path / "outputs" / "first"):
        outcome = here(tmp_path, *WORDS)
    assert outcome.code == 2
    assert "outputs/first: another process is at work here" in outcome.err
    assert not list(tmp_path.rglob("run.json"))


def test_resume_of_a_sweep_names_the_command(whole):
    outcome = here(whole[0].parents[1], "resume=outputs/first")
    assert outcome.code == 2
    assert outcome.err == "satae-train: resume=outputs/first: is a sweep; resume all of it with sweep=outputs/first\n"


# failures


def test_a_failure_leaves_the_other_runs_and_is_listed_with_its_reason(tmp_path, monkeypatch):
    failing(monkeypatch, NonFiniteLoss(3, float("nan"), None), at=[0.0])
    outcome = here(tmp_path, *WORDS)
    assert outcome.code == 3
    statuses = [read(tmp_path / "outputs" / "first" / name / "run.json")["status"] for name in NAMES]
    assert statuses == ["failed", "failed", "finished", "finished"]
    message = [line.split() for line in outcome.out.splitlines() if line.startswith(NAMES[0])]
    assert message[-1][:4] == [NAMES[0], "3", "the", "training"]


def test_a_diverged_run_is_not_retried(tmp_path, monkeypatch):
    failing(monkeypatch, NonFiniteLoss(3, float("nan"), None), at=[0.0])
    assert here(tmp_path, *WORDS).code == 3
    monkeypatch.undo()
    again = here(tmp_path, *WORDS)
    assert again.code == 3
    assert again.out.splitlines()[0] == "4 runs: 4 done already (skipped)"


def test_a_failed_run_is_retried(tmp_path, monkeypatch, whole):
    failing(monkeypatch, OSError(5, "Input/output error", "x"), at=[0.1])
    assert here(tmp_path, *WORDS).code == 1
    monkeypatch.undo()
    assert here(tmp_path, *WORDS).code == 0
    assert table(tmp_path / "outputs" / "first") == table(whole[0])


def test_fail_fast_starts_no_more_runs(tmp_path, monkeypatch):
    failing(monkeypatch, NonFiniteLoss(3, float("nan"), None), at=[0.0])
    outcome = here(tmp_path, *WORDS, "fail_fast=true")
    assert outcome.code == 3
    assert [name for name in NAMES if (tmp_path / "outputs" / "first" / name).exists()] == NAMES[:1]
    assert "3 have not started; resume with: satae-train sweep=outputs/first" in outcome.out
    monkeypatch.undo()
    assert here(tmp_path, *WORDS).code == 3  # the first has diverged for good
    assert len(table(tmp_path / "outputs" / "first")) == 4


# hostile sweeps


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "sweep.json",
            '{"commands": ["x"], "words": [["hydra.callbacks.x._target_=os.system"]], "varied": []}',
            "os.sys",
        ),
        ("sweep.json", "[" * 100_000, "sweep.json: cannot be read"),
        ("sweep.json", "{}", "sweep.json: cannot be read"),
        (f"{NAMES[0]}/config.yaml", "a: !!python/object/apply:os.system [x]", "is not a configuration"),
        (f"{NAMES[0]}/run.json", "3", "run.json: is not the record of a run"),
        (f"{NAMES[0]}/metrics.json", '{"valid/fvu": "<b>"}', "metrics.json: cannot be read"),
    ],
)
def test_a_hostile_sweep_is_refused_in_one_line(finished, file, content, message):
    (finished / "outputs" / "first" / file).write_text(content)
    outcome = here(finished, "sweep=first")
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "content", "code"), [("run.json", "3", 2), ("config.yaml", "[", 0), ("metrics.json", "{", 0)]
)
def test_a_run_that_becomes_unreadable_leaves_the_table_and_report_of_the_others(
    tmp_path, monkeypatch, file, content, code
):
    sweep = tmp_path / "outputs" / "first"

    def spoiling(*args, **named):
        (sweep / NAMES[0] / file).write_text(content)
        return fit(*args, **named)

    assert here(tmp_path, *TINY, "alpha=0", "seed=0,1", "sweep=first").code == 0
    (sweep / "seed=0").rename(sweep / NAMES[0])
    monkeypatch.setattr(experiment, "fit", spoiling)
    outcome = here(tmp_path, *WORDS)
    assert outcome.code == code
    assert f"{NAMES[0]}: {file}: " in outcome.out
    assert "outputs/first/report/index.html" in outcome.out
    assert [row["status"] for row in table(sweep)] == ["unreadable", *["finished"] * 3]


# in worker processes

KILLS = """
import os, signal, sys

def kill(event, arguments):
    path = str(arguments[0]) if event == "open" and str(arguments[1]).startswith("a") else ""
    if "alpha=0.1" in path and path.endswith("seed=1/metrics.jsonl"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
"""
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@pytest.fixture
def killing(tmp_path):
    """What kills the process of one of the runs whenever it comes to the end of its first epoch."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(KILLS)
    return {"PYTHONPATH": str(tmp_path / "site")}


@pytest.mark.slow  # test_parallel_sweep and tests/launchers have each kind for itself
def test_three_kinds_of_failure_are_listed_and_the_other_runs_finish(tmp_path, killing):
    """A fault, a loss that is not finite, a process that is killed."""
    words = [*TINY, "optim=sgd", "reduction=sum", "sweep=first", *JOBLIB]
    (tmp_path / "outputs" / "first" / "alpha=0,optim.lr=0.0001,seed=1" / "metrics.jsonl").mkdir(parents=True)
    outcome = there(tmp_path, *words, "alpha=0,0.1", "optim.lr=1e-4", "optim.lr=1e-4,1e30", "seed=0,1", **killing)
    assert outcome.code == 3, outcome
    status = {row["run"]: (row["status"], row["exit_code"]) for row in table(tmp_path / "outputs" / "first")}
    assert status == {
        "alpha=0,optim.lr=0.0001,seed=0": ("finished", "0"),
        "alpha=0,optim.lr=0.0001,seed=1": ("failed", "1"),
        "alpha=0.1,optim.lr=0.0001,seed=0": ("finished", "0"),
        "alpha=0.1,optim.lr=0.0001,seed=1": ("failed", "1"),
        **{f"alpha={alpha},optim.lr=1e+30,seed={seed}": ("failed", "3") for alpha in ("0", "0.1") for seed in (0, 1)},
    }
    assert "its process was killed" in outcome.out
    sweep, logs = tmp_path / "outputs" / "first", {}
    for name, (ending, _) in status.items():
        logs[name] = (sweep / name / "satae-train.log").read_text()
        assert status_in_tensorboard(sweep / name) == {"finished": "STATUS_SUCCESS", "failed": "STATUS_FAILURE"}[ending]
    assert "IsADirectoryError" in logs["alpha=0,optim.lr=0.0001,seed=1"]
    assert "the training loss is" in logs["alpha=0,optim.lr=1e+30,seed=0"]
    assert "its process was killed" in logs["alpha=0.1,optim.lr=0.0001,seed=1"]
    assert "Traceback" not in outcome.out + outcome.err


@pytest.mark.parametrize(
    "launcher", [pytest.param((), id="serial"), pytest.param(JOBLIB, id="joblib", marks=pytest.mark.slow)]
)
def test_a_killed_sweep_resumes_to_the_same_table(tmp_path, whole, launcher):
    sweep = tmp_path / "outputs" / "first"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [PROGRAM, *WORDS, *launcher], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, process_group=0
    ) as program:
        while not list(sweep.glob("*/metrics.jsonl")) and program.poll() is None:
            time.sleep(0.02)
        os.killpg(program.pid, signal.SIGKILL)
    assert here(tmp_path, *WORDS, *launcher).code == 0
    assert table(sweep) == table(whole[0])
    assert json.loads((sweep / "sweep.json").read_text())["varied"] == ["alpha", "seed"]


@pytest.mark.slow  # tests/launchers has the same law with runs that only wait
def test_fail_fast_ends_the_runs_of_other_workers_with_a_checkpoint(tmp_path):
    words = [*TINY, "optim=sgd", "reduction=sum", "sweep=first", *JOBLIB, "fail_fast=true"]
    words = [word for word in words if not word.startswith("epochs")]
    outcome = there(tmp_path, *words, "optim.lr=1e-4,1e30,1e-5", "epochs=1000000")
    assert outcome.code == 3, outcome
    status = {row["run"]: row["status"] for row in table(tmp_path / "outputs" / "first")}
    assert status == {"optim.lr=0.0001": "interrupted", "optim.lr=1e+30": "failed"}
    assert list((tmp_path / "outputs" / "first" / "optim.lr=0.0001" / "checkpoints").glob("step-*"))
    assert "1 was interrupted and 1 has not started; resume with" in outcome.out


def test_a_run_with_a_link_is_not_resumed(tmp_path, monkeypatch):
    failing(monkeypatch, OSError(5, "Input/output error", "x"), at=[0.1])
    assert here(tmp_path, *WORDS).code == 1
    monkeypatch.undo()
    run = tmp_path / "outputs" / "first" / NAMES[2]
    (run / "link").symlink_to(tmp_path / "elsewhere")
    outcome = here(tmp_path, *WORDS)
    assert outcome.code == 2
    assert f"{NAMES[2]}/link: is a link" in outcome.err


@pytest.mark.parametrize("file", ["config.yaml", "run.json", "metrics.json"])
def test_a_pipe_is_not_waited_for(finished, file):
    path = finished / "outputs" / "first" / NAMES[0] / file
    path.unlink()
    os.mkfifo(path)
    assert here(finished, "sweep=first").code == 2


def test_a_sweep_without_event_files_names_no_tensorboard(tmp_path):
    outcome = here(tmp_path, *TINY, "-m", "seed=0", "logger=none,tensorboard", "hydra.sweep.dir=both")
    assert "TensorBoard  tensorboard --logdir both" in outcome.out.splitlines()
    outcome = here(tmp_path, *TINY, "-m", "seed=0", "logger=none", "hydra.sweep.dir=none")
    assert outcome.code == 0
    assert "report       none/report/index.html" in outcome.out.splitlines()
    assert "TensorBoard" not in outcome.out
