"""A trained model for other programs: what they get is what the model gives."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import numpy
import program
import pytest
import torch
from program import TINY, files, here, runs
from torch import nn

import satae
from satae import export
from satae.config.schema import GROUPS
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.export import EXPORT_FORMATS
from satae.training import checkpoint

SMOOTH = ("gelu", "silu", "mish", "hardswish")
CONV = [word for word in TINY if "widths" not in word] + ["arch=conv", "arch.channels=[3]", "arch.code=4"]


def typed(*words):
    return program.typed(export.main, "satae-export", *words)


def trained(folder, *words):
    assert here(folder, *words, "epochs=1", "hydra.run.dir=run").code == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("export"), *TINY)


@pytest.mark.parametrize(
    ("act", "arch"), [*((act, "mlp") for act in GROUPS["act"].names()), ("tanh", "conv"), ("shrink", "conv")]
)
def test_weights_and_programs_give_what_the_model_gives(tmp_path, act, arch):
    run = trained(
        tmp_path,
        *(TINY if arch == "mlp" else CONV),
        f"act={act}",
        *(["complement=input"] if act in SMOOTH else []),
        *(["arch.batch_norm=true"] if act == "tanh" else []),
        *(["arch.tied=true"] if (act, arch) == ("relu", "mlp") else []),
    )
    model, x = satae.load(run), torch.rand(7, 1, 8, 8)
    for form in ("safetensors", "torch_export"):
        code, out, err = typed(f"run={run}", f"format={form}")
        assert (code, err) == (0, "")
        assert "largest difference from the model" in out
    assert torch.equal(satae.load(run / "model.safetensors")(x), model(x))
    reconstruction, code = torch.export.load(run / "model.pt2").module()(x)
    torch.testing.assert_close(reconstruction, model(x))
    torch.testing.assert_close(code, model.encode(x))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("act", GROUPS["act"].names())
def test_onnx_gives_what_the_model_gives(tmp_path, act, arch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    words = TINY if arch == "mlp" else CONV
    run = trained(tmp_path, *words, f"act={act}", *(["complement=input"] if act in SMOOTH else []))
    code, _, err = typed(f"run={run}", "format=onnx", f"out={tmp_path / 'it.onnx'}")
    assert (code, err) == (0, "")
    session = onnxruntime.InferenceSession(tmp_path / "it.onnx")
    model = satae.load(run)
    for count in (1, 3):
        x = torch.rand(count, 1, 8, 8)
        reconstruction, z = session.run(["reconstruction", "code"], {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(reconstruction), model(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(torch.from_numpy(z), model.encode(x), rtol=1e-4, atol=1e-4)


def test_the_best_weights_can_be_taken(run, tmp_path):
    out = tmp_path / "best.safetensors"
    assert typed(f"run={run}", "format=safetensors", f"out={out}", "best=true")[0] == 0
    ours, theirs = satae.load(out).state_dict(), satae.load(run, best=True).state_dict()
    assert all(torch.equal(x, theirs[name]) for name, x in ours.items())
    assert {*checkpoint.load(out).facts} == {"config", "shape", "units"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["format=onnx"], "run is missing; name a run directory"),
        (["run=nowhere", "format=onnx"], "run=nowhere: no such run directory"),
        (["run={run}", "format=pickle"], "format=pickle: choose one of safetensors, torch_export, onnx"),
        (["run={run}"], "format is missing; choose one of safetensors"),
        (["run={run}", "fromat=onnx"], "fromat=onnx: no such option; did you mean format?"),
        (["run={run}", "onnx"], "onnx: no such option"),
        (["{run}", "format=onnx"], ": did you mean run=/"),
        (["run={run}", "format=safetensors", "best=maybe"], "best=maybe: must be true or false"),
        (["run={run}", "format=safetensors", "out={run}/run.json"], "run.json: exists already; name another file"),
        (["run={run}", "format=safetensors", "out=no/such/x"], "out=no/such/x: there is no folder no/such"),
        (["run={run}/pictures", "format=safetensors"], "no checkpoint there; name a run directory"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(run, words, message):
    before = files(run)
    code, out, err = typed(*(word.format(run=run) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith("satae-export: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert files(run) == before


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda model, x: (x + 1, model.encode(x)), "the file differs from the model"),
        (lambda model, x: (model(x), model.encode(x) * torch.nan), "the file differs from the model"),
        (lambda model, x: (model(x), model.encode(x)[:, :1]), "outputs of other shapes; it is not kept"),
    ],
)
def test_a_file_with_other_outputs_is_not_kept(run, tmp_path, monkeypatch, read, message):
    model = satae.load(run)
    wrong = EXPORT_FORMATS["safetensors"]._replace(read=lambda path: lambda x: read(model, x))
    monkeypatch.setitem(EXPORT_FORMATS, "safetensors", wrong)
    code, _, err = typed(f"run={run}", "format=safetensors", f"out={tmp_path / 'x'}")
    assert code == 1
    assert message in err
    assert files(tmp_path) == []


def test_the_line_says_how_far_the_weights_were_trained(run, tmp_path):
    _, out, _ = typed(f"run={run}", "format=safetensors", f"out={tmp_path / 'x'}")
    assert ": the weights after 1 of 1 epochs, at step 2; largest difference from the model " in out


@pytest.fixture
def cut_off(tmp_path):
    """The directory of a run whose alpha had not risen to its end."""
    words = [*TINY, "alpha=0.1", "epochs=9", "hydra.run.dir=run", "checkpoint.every_steps=1"]
    measures, calls = Experiment.measure, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return measures(*given)

    with mock.patch.object(Experiment, "measure", interrupted):
        assert here(tmp_path, *words).code == 130
    return tmp_path / "run"


def test_the_line_says_that_the_run_has_not_finished(cut_off):
    code, out, _ = typed(f"run={cut_off}", "format=safetensors")
    assert code == 0
    assert ": the weights after 1 of 9 epochs, at step 3; the run has not finished (interrupted); largest" in out


def test_best_weights_that_do_not_exist_yet_are_refused_with_the_reason(cut_off):
    code, out, err = typed(f"run={cut_off}", "format=safetensors", "best=true")
    told = "no best weights yet: no epoch has ended with all of alpha; take the newest"
    assert (code, out, err) == (2, "", f"satae-export: {cut_off}: {told}\n")
    with pytest.raises(FileNotFoundError, match=told):
        satae.load(cut_off, best=True)


@pytest.mark.parametrize("best", ["true", "false"])
def test_export_needs_no_data(own_data, best):
    (own_data / "x.npy").unlink()
    build.load_data.cache_clear()  # as in a process of its own
    code, out, err = typed(f"run={own_data / 'run'}", "format=safetensors", f"best={best}")
    assert (code, err) == (0, "")
    assert ": the weights after 1 of 1 epochs, at step 3; largest" in out
    assert "on 256 random inputs at once, and on one of them alone" in out
    told = "satae-export: data.path=y.npy: no such option; format=npy has data=, other formats read no data\n"
    assert typed(f"run={own_data / 'run'}", "format=onnx", "data.path=y.npy") == (2, "", told)


def test_generated_inputs_fill_the_range_of_the_data_or_that_of_the_statistics():
    model = satae.mlp((3,), nn.ReLU, widths=[2])
    model.standardize_by(torch.tensor([0.0, 10.0, 20.0]), torch.tensor([1.0, 1.0, 2.0]))
    known = export.generate_inputs(model, (3,), {"data": {"span": [-2, 4.0]}})
    assert known.shape == (256, 3)
    assert -2 <= known.min() < -1.9
    assert 3.9 < known.max() <= 4
    for record in ({}, {"data": None}, {"data": {"span": [None, 1]}}):
        guessed = export.generate_inputs(model, (3,), record)
        assert guessed.amin(0).tolist() == pytest.approx([-3, 7, 14], abs=0.2)
        assert guessed.amax(0).tolist() == pytest.approx([3, 13, 26], abs=0.2)


@pytest.fixture
def own_data(tmp_path):
    numpy.save(tmp_path / "x.npy", numpy.random.default_rng(0).random((100, 6), dtype="float32"))
    trained(tmp_path, *(word for word in TINY if "limit" not in word), "data=array", f"data.path={tmp_path / 'x.npy'}")
    return tmp_path


def test_version():
    assert typed("--version") == (0, f"satae {version('satae')}\n", "")


@pytest.mark.parametrize("form", ["safetensors", "torch_export"])
def test_the_file_is_on_the_disk_before_it_gets_its_name(run, tmp_path, monkeypatch, form):
    fsync, replace, told = os.fsync, Path.replace, []

    def synced(handle):
        told.append(os.fstat(handle).st_ino)
        fsync(handle)

    def replaced(path, place):
        if place == tmp_path / "x":
            assert path.stat().st_ino in told
            told.append("named")
        return replace(path, place)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    assert typed(f"run={run}", f"format={form}", f"out={tmp_path / 'x'}")[0] == 0
    assert told[-2:] == ["named", tmp_path.stat().st_ino]


def test_help_and_nothing(capsys):
    assert typed("--help")[0] == 0
    code, out, _ = typed()
    assert code == 2
    assert all(f"  {name} " in out for name in ("run", "format", "out", "best"))
    assert all(name in out for name in EXPORT_FORMATS)


def test_a_run_in_a_sweep_is_a_run(tmp_path):
    assert here(tmp_path, *TINY, "-m", "seed=0", "hydra.sweep.dir=s").code == 0
    (run,) = runs(tmp_path)
    assert typed(f"run={run}", "format=safetensors")[0] == 0
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
