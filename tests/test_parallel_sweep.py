"""A sweep in worker processes is what it is in one process, however its runs end."""

import csv
import os
import re
import signal
import time

import pytest
from program import TINY, here, read, runs, started, there

JOBLIB = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep")
WORDS = (
    *(word for word in TINY if not word.startswith("threads")),
    *("data=array", "data.path=x.npy", "optim=sgd", "reduction=sum", "optim.lr=1e-4,1e30", "seed=range(3)"),
)
NAMES = [f"optim.lr={lr},seed={seed}" for lr in ("0.0001", "1e+30") for seed in range(3)]
STATUS = ["finished", "failed", "finished", "failed", "failed", "failed"]
CODES = [0, 1, 0, 3, 3, 3]
FAULTY = 1
READS = """
import os, sys

if "joblib.externals.loky.backend.popen_loky_posix" in sys.orig_argv:
    with open(os.environ["READS"] + ".workers", "a") as file:
        print(os.getpid(), file=file)

def note(event, arguments):
    if event == "open" and str(arguments[0]).endswith("x.npy"):
        with open(os.environ["READS"], "a") as file:
            print(os.getpid(), file=file)

sys.addaudithook(note)
"""


def prepare(folder):
    """Data, and what makes one run fail: a folder where a file should be."""
    import numpy

    numpy.save(folder / "x.npy", numpy.random.default_rng(0).random((200, 6), dtype="float32"))
    (folder / "sweep" / NAMES[FAULTY] / "metrics.jsonl").mkdir(parents=True)


@pytest.fixture(scope="module")
def parallel(tmp_path_factory):
    """Six runs in two worker processes: one fails for a folder in its way, three diverge."""
    folder = tmp_path_factory.mktemp("parallel")
    prepare(folder)
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(READS)
    places = {"PYTHONPATH": str(folder / "site"), "READS": str(folder / "reads")}
    return folder, there(folder, *WORDS, *JOBLIB, OMP_NUM_THREADS="2", **places)


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The same runs one after another."""
    folder = tmp_path_factory.mktemp("serial")
    prepare(folder)
    return folder, here(folder, *WORDS, "threads=1", "-m", "hydra.sweep.dir=sweep")


def untimed(run):
    return {key: value for key, value in read(run / "metrics.json").items() if key not in ("wall_s", "samples_per_s")}


def worker(run):
    """The process that made a run, as its event file is named."""
    (events,) = run.glob("events.out.tfevents.*.[0-9]")
    return int(events.name.split(".")[-2])


def test_the_numbers_are_the_same_to_the_last_bit(parallel, serial):
    finished = [number for number, status in enumerate(STATUS) if status == "finished"]
    for number in finished:
        ours, theirs = (untimed(folder / "sweep" / NAMES[number]) for folder, _ in (parallel, serial))
        assert ours == theirs
    assert untimed(parallel[0] / "sweep" / NAMES[0]) != untimed(parallel[0] / "sweep" / NAMES[2])


def test_the_record_of_each_run_says_how_it_ended(parallel, serial):
    for folder, _ in (parallel, serial):
        found = [read(run / "run.json") for run in runs(folder)]
        assert [record["status"] for record in found] == STATUS
        assert [record["exit_code"] for record in found] == CODES


def ending(out):
    """What a sweep prints from the head of its table on."""
    lines = out.splitlines()
    heads = (place for place, line in enumerate(lines) if "finished" in line.split() and not line.startswith("run "))
    return lines[next(heads) :]


def test_the_exit_code_is_the_same(parallel, serial):
    assert parallel[1].code == serial[1].code == 3


def test_failures_are_printed_in_the_same_lines(parallel, serial):
    printed = [sorted(outcome.err.replace(str(folder), "").splitlines()) for folder, outcome in (parallel, serial)]
    assert printed[0] == printed[1]
    assert len(printed[0]) == 4
    assert all(line.startswith("satae-train: ") for line in printed[0])


def test_each_run_has_a_line_that_names_it(parallel):
    lines = parallel[1].out.splitlines()
    before = lines[2 : lines.index(ending(parallel[1].out)[0])]
    named = sorted(line for line in before if "valid fvu" in line)
    assert [re.sub(r"(fvu|saturated) [\d.]+", r"\1", line).removesuffix("  collapsed") for line in named] == [
        f"{NAMES[0]}  valid fvu  saturated",
        f"{NAMES[2]}  valid fvu  saturated",
    ]
    assert lines[:2] == ["2 of 6 runs at once", "6 runs: 6 new"]
    ends = [line for line in before if re.match(r"run \d of 6 (finished|failed)", line)]
    assert [line.split()[1] for line in ends] == [*"123456"]
    assert all(line.startswith("warning: optim.lr=") for line in before if line not in [*named, *ends])


def test_the_table_is_the_same(parallel, serial):
    tables = [ending(outcome.out.replace(str(folder), "")) for folder, outcome in (parallel, serial)]
    assert [line.split() for line in tables[0]] == [line.split() for line in tables[1]]
    assert [line.split()[-1] for line in tables[0][1:3]] == ["1", "3"]  # failed
    failures = next(place for place, line in enumerate(tables[0]) if line.startswith("failed "))
    assert [line.split()[:2] for line in tables[0][failures : failures + 1 + sum(map(bool, CODES))]] == [
        ["failed", "exit"],
        *([name, str(code)] for name, code in zip(NAMES, CODES, strict=True) if code),
    ]
    with (parallel[0] / "sweep" / "runs.csv").open(encoding="utf-8") as file:
        assert [row["status"] for row in csv.DictReader(file)] == STATUS


def test_jobs_and_threads_are_recorded(parallel):
    for run in runs(parallel[0]):
        record = read(run / "run.json")
        assert (record["jobs"], record["threads"]) == (2, 1)


def test_the_recorded_command_equals_the_typed_one(parallel):
    command = read(parallel[0] / "sweep" / NAMES[2] / "run.json")["command"]
    assert command.startswith("satae-train data.limit=64 ")
    assert command.count("n_jobs") == 1
    assert "hydra.launcher.batch_size" not in command


def test_a_worker_makes_several_runs_and_reads_the_data_once(parallel):
    by = [worker(run) for run in runs(parallel[0])]
    assert len(set(by)) == 2
    reads = [int(line) for line in (parallel[0] / "reads").read_text().split()]
    assert {pid: reads.count(pid) for pid in by} == dict.fromkeys(by, reads.count(by[0]))
    assert {reads.count(pid) for pid in by} == {reads.count(next(pid for pid in reads if pid not in by))}


def test_every_worker_makes_a_run(parallel):
    started = [int(line) for line in (parallel[0] / "reads.workers").read_text().split()]
    assert sorted(started) == sorted({worker(run) for run in runs(parallel[0])})


def test_a_log_holds_the_lines_of_its_own_run(parallel):
    for number, run in enumerate(runs(parallel[0])):
        log = (run / "satae-train.log").read_text()
        assert log.count("inputs of 6 to train on") == 1
        assert log.count("loss is") == (CODES[number] == 3)
        assert ("IsADirectoryError" in log) == (number == FAULTY)
        assert [name for name in NAMES if f"sweep/{name}" in log and name != NAMES[number]] == []


def test_control_c_ends_workers_and_shows_finished_runs(tmp_path):
    """Two short runs that finish, and two that would take forever."""
    with started(tmp_path, *TINY, "epochs=1,1000000", "seed=0,1", *JOBLIB) as program:
        while len([*tmp_path.glob("sweep/epochs=1000000,*/metrics.jsonl")]) < 2 and program.poll() is None:
            time.sleep(0.05)
        os.killpg(program.pid, signal.SIGINT)
        out, err = program.communicate(timeout=60)  # a worker that was left would keep the pipes open
    assert (program.returncode, err) == (130, "satae-train: interrupted\n")
    found = [read(run / "run.json") for run in runs(tmp_path / "sweep")]
    assert [record["status"] for record in found] == ["finished", "finished", "interrupted", "interrupted"]
    assert [line.split()[:2] for line in ending(out)[1:3]] == [["1", "2"], ["1000000", "0"]]
