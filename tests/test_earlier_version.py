"""Directories that version 0.1.0 left, before the program was reorganized: they load, resume, report and evaluate."""

import csv
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from program import here, read, typed

import satae
from satae import evaluate, export, report

ARCHIVE = Path(__file__).parent / "fixtures" / "earlier_version.tar.gz"
TIMES = {"wall_s", "samples_per_s"}
QUICK_EVALUATION = ("samples=40", "denoising.gaussian=[0.1]", "denoising.uniform=[]", "denoising.masking=[]")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    with tarfile.open(ARCHIVE) as file:
        file.extractall(folder, filter="data")
    return folder / "earlier_version"


@pytest.fixture
def stored(archive, tmp_path):
    """Copies a directory of the archive into ``outputs``."""

    def copied(name):
        return shutil.copytree(archive / name, tmp_path / "outputs" / name)

    return copied


@pytest.fixture(scope="module")
def tolerance(archive, tmp_path_factory):
    """How far metrics may differ from the stored ones: not at all if this machine computes them bit for bit."""
    folder = tmp_path_factory.mktemp("fresh")
    words = read(archive / "finished" / "run.json")["overrides"]
    assert here(folder, *words, "hydra.run.dir=fresh").code == 0
    return 0.0 if metrics(folder / "fresh") == metrics(archive / "finished") else 1e-5


def metrics(run):
    return {key: value for key, value in read(run / "metrics.json").items() if key not in TIMES}


def epochs(run):
    return len((run / "metrics.jsonl").read_text("utf-8").splitlines())


def test_a_finished_run_loads(archive):
    for best in (False, True):
        model = satae.load(archive / "finished", best=best)
        assert model(torch.rand(2, 1, 8, 8)).shape == (2, 1, 8, 8)


def test_a_finished_run_trains_for_more_epochs(stored, tmp_path):
    run = stored("finished")
    outcome = here(tmp_path, "resume=outputs/finished", "epochs=8")
    assert (outcome.code, outcome.err) == (0, "")
    assert (epochs(run), read(run / "run.json")["status"]) == (8, "finished")


def test_a_killed_run_resumes_to_the_metrics_of_the_finished_one(stored, archive, tmp_path, tolerance):
    run = stored("killed")
    assert here(tmp_path, "resume=outputs/killed").code == 0
    assert metrics(run) == pytest.approx(metrics(archive / "finished"), abs=tolerance, rel=tolerance)
    assert epochs(run) == 6


def test_a_half_done_sweep_finishes_with_the_expected_metrics(stored, archive, tmp_path, tolerance):
    sweep = stored("half")
    outcome = here(tmp_path, "sweep=half")
    assert (outcome.code, outcome.err) == (0, "")
    expected = {run.name: metrics(run) for run in (archive / "half_expected").iterdir()}
    assert len(expected) == 6
    for name, values in expected.items():
        assert metrics(sweep / name) == pytest.approx(values, abs=tolerance, rel=tolerance)
    with (sweep / "runs.csv").open(encoding="utf-8", newline="") as file:
        assert {row["run"]: row["status"] for row in csv.DictReader(file)} == dict.fromkeys(expected, "finished")
    assert "6 runs of 3 configurations" in (sweep / "report" / "index.html").read_text("utf-8")


def test_an_evaluated_sweep_reports_its_evaluations(stored):
    sweep = stored("evaluated")
    outcome = typed(report.main, "satae-report", str(sweep))
    assert (outcome.code, outcome.err) == (0, "")
    page = (sweep / "report" / "index.html").read_text("utf-8")
    assert "4 runs of 2 configurations" in page
    assert "Defence" in page
    assert "own" in (sweep / "report" / "evaluation.csv").read_text("utf-8")


def test_a_run_of_an_evaluated_sweep_exports_and_is_evaluated_again(stored):
    run = stored("evaluated") / "alpha=0.1,seed=0"
    assert typed(export.main, "satae-export", f"run={run}", "format=safetensors").code == 0
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(satae.load(run / "model.safetensors")(x), satae.load(run)(x))
    before = read(run / "evaluation" / "denoising.json")["measured"]
    outcome = typed(evaluate.main, "satae-eval", f"run={run}", "evaluation=denoising", *QUICK_EVALUATION)
    assert (outcome.code, outcome.err) == (0, "")
    assert read(run / "evaluation" / "denoising.json")["measured"] > before


def test_a_sweep_of_the_earlier_version_grows_without_new_runs_for_old_ones(stored, tmp_path):
    sweep = stored("evaluated")
    words = [word for word in read(sweep / "sweep.json")["words"][0] if not word.startswith("alpha=")]
    outcome = here(tmp_path, "sweep=evaluated", *words, "alpha=0,0.1,1")
    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(path.parent.name for path in sweep.glob("*/run.json")) == [
        f"alpha={alpha},seed={seed}" for alpha in ("0", "0.1", "1") for seed in (0, 1)
    ]
    assert "6 runs: 4 done already (skipped), 2 new" in outcome.out
