"""``satae.train`` in Python makes the runs of ``satae-train``, and leaves the program that calls it as it was."""

import contextlib
import gc
import inspect
import io
import logging
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from program import ROOT, TINY, files, here, read

import satae
from satae import ConfigError, RunFailedError
from satae.runs.record import RunRecord, read_epochs

SMALL = {"epochs": 2, "batch_size": 32, "threads": 1, "options": {"data.limit": 64, "arch.widths": [16, 4]}}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def examples(count=120, columns=6):
    random = np.random.default_rng(0)
    return random.random((count, columns)).astype("float32"), random.integers(0, 3, count)


def same_weights(one, other):
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        ({}, []),
        (
            {"alpha": 0.2, "act": "tanh", "noise": "masking", "seed": 3},
            ["alpha=0.2", "act=tanh", "noise=masking", "seed=3"],
        ),
        (
            {"standardize": False, "decoder_norm": 5, "optim": "sgd"},
            ["standardize=false", "decoder_norm=5", "optim=sgd"],
        ),
        ({"data": "manifold", "alpha": np.float32(0.5)}, ["data=manifold", "alpha=0.5"]),
    ],
    ids=lambda value: "" if isinstance(value, dict) else " ".join(value),
)
def test_the_weights_are_those_of_the_command_with_the_same_words(words, typed):
    run = satae.train(**SMALL, **words, directory="python", quiet=True)
    assert here(".", *TINY, *typed, "hydra.run.dir=command").code == 0
    assert same_weights(run.model, satae.load("command"))
    timed = ("wall_s", "examples_per_second")
    lines = [
        [{k: v for k, v in line.items() if k not in timed} for line in read_epochs(run.directory.parent / name)]
        for name in ("python", "command")
    ]
    assert [line["valid/total"] for line in lines[0]] == [line["valid/total"] for line in lines[1]]


@pytest.mark.parametrize("kind", ["float32", "float64", "uint8"])
def test_an_array_trains_the_weights_that_its_file_trains(kind):
    x, y = examples()
    x = (x * 255).astype(kind) + (1e9 if kind == "float64" else 0)
    np.save("x.npy", x.astype(kind))
    np.save("y.npy", y)
    words = {"epochs": 2, "threads": 1, "options": {"arch.widths": [16, 4]}, "quiet": True}
    run = satae.train(data=(x.astype(kind), y), directory="python", **words)
    typed = ["data=array", "data.path=x.npy", "data.labels=y.npy", "epochs=2", "threads=1", "arch.widths=[16,4]"]
    assert here(".", *typed, "hydra.run.dir=command").code == 0
    assert same_weights(run.model, satae.load("command"))
    ours, other = (read(f"{name}/run.json")["data"] for name in ("python", "command"))
    assert ours == other


@pytest.mark.parametrize("convert", [torch.from_numpy, np.ndarray.tolist, np.asfortranarray, lambda x: x[::1][:, ::1]])
def test_tensors_lists_and_views_are_arrays_with_the_same_numbers(convert):
    x, _ = examples()
    words = {"epochs": 1, "threads": 1, "options": {"arch.widths": [4]}, "quiet": True}
    runs = [satae.train(data=given, directory=name, **words) for name, given in (("a", x), ("b", convert(x)))]
    assert same_weights(*(run.model for run in runs))


def test_an_array_is_written_nowhere():
    x, y = examples()
    satae.train(data=(x, y), directory="run", epochs=1, options={"arch.widths": [4]}, quiet=True)
    assert files(".")[0] == "run"
    assert sum(os.path.getsize(name) for name in files(".") if name.endswith((".npy", ".npz"))) == 0
    assert not any(name.startswith("run/") and name.endswith((".npy", ".npz", ".log")) for name in files("."))


def test_the_run_holds_what_its_directory_holds():
    run = satae.train(**SMALL, directory="run", quiet=True)
    assert run.metrics == read("run/metrics.json")
    assert run.history == [*read_epochs(run.directory)]
    assert [line["epoch"] for line in run.history] == [1, 2]
    assert run.directory == run.directory.absolute()
    assert not run.model.training
    assert repr(run) == f"<run of 2 epochs in {run.directory}>"


def test_what_was_assumed_about_an_array_is_in_the_notes():
    x, _ = examples()
    x[3, 2] = -9999
    run = satae.train(data=x, epochs=1, options={"arch.widths": [4]}, quiet=True)
    assert any("-9999" in note for note in run.notes)


# names


@pytest.mark.parametrize(
    "lines",
    [
        "import satae; call = satae.train",
        "import satae.train; call = satae.train",
        "from satae.train import main; import satae; call = satae.train",
        "from satae import train as call",
        "import satae; satae.load; import satae.train as call",
    ],
)
def test_the_function_is_there_however_the_module_was_imported(lines):
    code = f"{lines}\nassert callable(call.main)\ntry: call(alpha=-1)\nexcept ValueError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "alpha=-1: must be at least 0\n"


def test_an_editor_sees_the_arguments_of_the_function():
    assert [*inspect.signature(satae.train).parameters][:3] == ["data", "options", "directory"]


def test_importing_satae_imports_neither_torch_nor_hydra():
    code = "import sys, satae, satae.train; print({'torch', 'hydra', 'numpy', 'sklearn'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# what cannot be used


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        ({"alhpa": 1}, ["alhpa=1"]),
        ({"act": "relux"}, ["act=relux"]),
        ({"alpha": -1}, ["alpha=-1"]),
        ({"epochs": 1.5}, ["epochs=1.5"]),
        ({"alpha": None}, ["alpha=null"]),
        ({"options": {"optim.lrr": 1}}, ["optim.lrr=1"]),
        ({"data": "array"}, ["data=array"]),
        ({"resume": "nowhere"}, ["resume=nowhere"]),
        ({"complement": "output", "act": "silu"}, ["act=silu", "complement=output"]),
    ],
    ids=lambda value: "" if isinstance(value, dict) else " ".join(value),
)
def test_a_refusal_is_an_exception_with_the_line_of_the_command(words, typed):
    with pytest.raises(ConfigError) as refused:
        satae.train(**words)
    assert here(".", *typed).err == f"satae-train: {refused.value}\n"
    assert files(".") == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"sweep": "first"}, "sweep: satae.train makes one run; call it again for each, or use satae-train"),
        ({"options": {"hydra.job.chdir": True}}, "hydra.job.chdir: is for satae-train; directory= names the directory"),
        ({"options": {"+act": 1}}, "+act: no such option; names are such as alpha, act or optim.lr"),
        ({"alpha": 1, "options": {"alpha": 2}}, "alpha: is given twice; leave one of them out"),
        ({"act": print}, "act=<built-in function print>: must be a number, text, True, False, None or a list of these"),
        ({"data": 3}, "data: is 3; give the name of a data source, or an array of numbers"),
        ({"data": (1, 2, 3)}, "data: has 3 parts; give an array, or a tuple of examples and labels: data=(x, y)"),
        ({"data": [[1.0], [1.0, 2.0]]}, "data: cannot be read as an array"),
        ({"data": np.arange(12).reshape(6, 2)}, "data=array: the array: holds int64; must be floating-point"),
        ({"data": np.full((9, 2), np.nan)}, "data=array: the array: example 0, column 0 holds nan"),
        ({"data": "digits", "config_dir": "nowhere"}, "--config-dir nowhere: no such folder"),
    ],
)
def test_what_no_command_line_could_say_is_refused_in_one_line(words, line):
    with pytest.raises(ConfigError) as refused:
        satae.train(**words)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
    assert files(".") == []


def test_text_is_taken_as_it_is(tmp_path):
    x, _ = examples()
    folder = tmp_path / "1e5, [a] 'b'"
    folder.mkdir()
    np.save(folder / "x.npy", x)
    options = {"data.path": folder / "x.npy", "arch.widths": (4,)}
    run = satae.train(data="array", options=options, epochs=1, directory=folder / "run", quiet=True)
    assert run.directory == folder / "run"


def test_a_run_that_fails_raises_the_line_of_the_command():
    words = {"optim": "sgd", "directory": "python", "quiet": True, **SMALL}
    words["options"] = {**SMALL["options"], "optim.lr": 1e30}
    with pytest.raises(RunFailedError) as failed:
        satae.train(**words)
    typed = here(".", *TINY, "optim=sgd", "optim.lr=1e30", "hydra.run.dir=python2")
    assert typed.code == failed.value.exit_code == 3
    assert typed.err == f"satae-train: {failed.value}\n".replace("/python", "/python2").replace("=python", "=python2")
    assert read("python/run.json")["status"] == "failed"


def test_a_fault_keeps_its_cause(monkeypatch):
    def fail(*_):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(RunRecord, "add_epoch", fail)
    with pytest.raises(
        RunFailedError, match=r"^RuntimeError: on purpose; resume with: satae-train resume=run$"
    ) as failed:
        satae.train(**SMALL, directory="run", quiet=True)
    assert str(failed.value.__cause__) == "on purpose"


# resuming


def test_a_run_on_an_array_resumes_with_the_same_array_bit_for_bit():
    given = examples()
    words = {"data": given, "threads": 1, "quiet": True}
    options = {"arch.widths": [16, 4]}
    whole = satae.train(**words, options=options, alpha_schedule="constant", epochs=3, directory="whole")
    satae.train(**words, options=options, alpha_schedule="constant", epochs=1, directory="parts")
    resumed = satae.train(**words, resume="parts", epochs=3)
    assert same_weights(whole.model, resumed.model)
    assert [line["epoch"] for line in resumed.history] == [1, 2, 3]
    assert read("parts/run.json")["resumed"][0]["command"].startswith("satae.train(threads=1, resume='parts'")


def test_a_run_on_an_array_does_not_resume_with_other_data(tmp_path):
    x, y = examples()
    satae.train(data=(x, y), epochs=1, options={"arch.widths": [4]}, directory="run", quiet=True)
    before = {name: os.path.getmtime(name) for name in files(".")}
    for epochs in (1, 2):
        with pytest.raises(ConfigError, match="the numbers in the data have changed"):
            satae.train(data=x + 1, resume="run", epochs=epochs, quiet=True)
    with pytest.raises(ConfigError, match="the training labels have changed"):
        satae.train(data=(x, (y + 1) % 3), resume="run", epochs=2, quiet=True)
    with pytest.raises(ConfigError, match="stands for an array that was given in Python"):
        satae.train(resume="run", epochs=2, quiet=True)
    assert before == {name: os.path.getmtime(name) for name in files(".")}


def test_the_command_resumes_a_run_on_an_array_from_a_file_with_the_same_numbers():
    x, y = examples()
    satae.train(data=(x, y), epochs=1, options={"arch.widths": [4]}, directory="run", quiet=True)
    refused = here(".", "resume=run", "epochs=2")
    assert refused.code == 2
    assert "give the array again (data=x in Python), or save it" in refused.err
    np.savez("data.npz", x=x, y=y)
    assert here(".", "resume=run", "epochs=2", "data.path=data.npz").code == 0


def test_a_rerun_takes_another_array():
    x, y = examples()
    options = {"arch.widths": [4], "data.valid": 0.25}
    satae.train(data=(x, y), epochs=1, options=options, directory="run", quiet=True)
    again = satae.train(data=x + 1, rerun="run", directory="again", quiet=True)
    assert read(again.directory / "run.json")["data"]["valid"] == 30
    assert read(again.directory / "run.json")["rerun_of"] == os.path.abspath("run")


def test_ctrl_c_leaves_a_checkpoint_and_the_handler_of_python(monkeypatch):
    whole = satae.train(**SMALL, directory="whole", quiet=True)
    add = RunRecord.add_epoch

    def interrupt(self, number, metrics):
        add(self, number, metrics)
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(RunRecord, "add_epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        satae.train(**SMALL, directory="parts", quiet=True)
    monkeypatch.setattr(RunRecord, "add_epoch", add)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert read("parts/run.json")["status"] == "interrupted"
    assert same_weights(whole.model, satae.train(resume="parts", quiet=True).model)


# the program around it


def test_the_program_keeps_its_settings():
    root = logging.getLogger()
    handler = logging.StreamHandler(io.StringIO())
    root.addHandler(handler)
    torch.set_num_threads(2)
    before = sys.stdout, [*root.handlers], gc.get_freeze_count(), signal.getsignal(signal.SIGINT), torch.get_rng_state()
    try:
        satae.train(**SMALL, directory="run", quiet=True)
        after = sys.stdout, [*root.handlers], gc.get_freeze_count(), signal.getsignal(signal.SIGINT)
        assert after == before[:4]
        assert torch.equal(torch.get_rng_state(), before[4])
        assert torch.get_num_threads() == 2
        assert (torch.tensor([1e-40]) * 1).item() > 0  # subnormal numbers are kept
        assert not torch.are_deterministic_algorithms_enabled()
        assert gc.isenabled()
        assert not logging.getLogger("satae").handlers
    finally:
        root.removeHandler(handler)


def test_a_quiet_run_prints_nothing_and_logs_its_warnings(caplog):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        satae.train(**SMALL, noise="gaussian", directory="run", quiet=True)
    assert (out.getvalue(), err.getvalue()) == ("", "")
    assert [record.getMessage() for record in caplog.records if "collapsed" in record.getMessage()]


def test_a_run_prints_what_the_command_prints():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        satae.train(**SMALL, directory="run")
    typed = here(".", *TINY, "hydra.run.dir=ran")
    assert out.getvalue().replace("run", "ran") == typed.out.replace("run", "ran")


def test_it_works_inside_a_program_of_hydra():
    with initialize_config_module("satae.conf", version_base="1.3"):
        before = GlobalHydra.instance().hydra
        run = satae.train(**SMALL, directory="run", quiet=True)
        assert GlobalHydra.instance().hydra is before is not None
    assert len(run.history) == 2


def test_the_examples_of_the_page_run():
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "library.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) >= 4
    known = {}
    for block in blocks:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(block, known)
