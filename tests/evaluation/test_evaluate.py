"""satae-eval: what it measures of a trained run, what it leaves, and what it does not do twice."""

import csv
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time

import made
import numpy as np
import pytest
import torch
from evaluated import PLANE, PROGRAM, QUICK, table, trained, typed
from PIL import Image
from program import files, here, read, there
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import satae
from satae.config.registry import EVALUATION_PARTS
from satae.config.schema import Evaluation as Chosen
from satae.evaluation import classifiers
from satae.evaluation.parts.code_ import Code
from satae.evaluation.result import PartResult, ResultTable, read_if_current
from satae.evaluation.subject import Subject, TrainedRun
from satae.experiment import build
from satae.runs import provenance
from satae.runs.locks import lock_directory
from satae.sweeps.manifest import Manifest, write_manifest
from satae.sweeps.text import format_deviation

PARTS = EVALUATION_PARTS.names()
pytestmark = pytest.mark.usefixtures("blank_pictures")  # those of measured_digits and measured_plane are drawn


@pytest.fixture(autouse=True, scope="module")
def _quick_classifiers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "RECIPE", classifiers.RECIPE._replace(steps=60))
        yield


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits"), "act=sigmoid", "data.limit=100")


@pytest.fixture
def run(digits, tmp_path):
    """A run that nobody has evaluated."""
    return shutil.copytree(digits, tmp_path / "run")


@pytest.fixture(scope="module")
def measured_digits(digits, tmp_path_factory):
    """A run of which every part has been measured, and what the program printed."""
    run = shutil.copytree(digits, tmp_path_factory.mktemp("all") / "run")
    return run, typed(run.parent, "run=run", *QUICK)


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plane"), tiny=PLANE)


@pytest.fixture(scope="module")
def measured_plane(plane):
    return typed(plane, "run=.", *QUICK, "manifold.other=auto")


def test_the_program_measures_all_parts_of_a_run(measured_digits):
    run, outcome = measured_digits
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-4:] == [
        "results      run/evaluation",
        "pictures     run/evaluation/*.png",
        "TensorBoard  tensorboard --logdir run",
        "page         satae-report run",
    ]
    name, measured = outcome.out.splitlines()[:2]
    assert name == "run: digits, mlp, sigmoid, alpha 0.1, gaussian noise 0.3"
    assert re.fullmatch(r"  weights [0-9a-f]{12} at step \d+; 100 test inputs, seed 0", measured)
    assert len(measured.replace("step ", "step 9,999,99").replace("100", "10,000")) <= 80
    assert [line for line in outcome.out.splitlines() if line in PARTS] == [*PARTS]
    left = {name for name in files(run / "evaluation") if not name.startswith(("events.", ".lock"))}
    assert left == {
        *(f"{part}.{kind}" for part in PARTS for kind in ("json", "csv")),
        *("denoising_curves.png", "denoising_reconstructions.png", "denoising_corruptions.png"),
        *("code_pre_activations.png", "code_slope.png", "manifold_energies.png"),
        *("perturbation_curves.png", "defence_accuracy.png"),
    }
    for name in left:
        if name.endswith(".png"):
            Image.open(run / "evaluation" / name).verify()


def test_denoising_has_a_row_for_each_level_and_the_noisy_input(run):
    rows = table(typed(run, "run=.", "evaluation=denoising", *QUICK).out, "noise")
    assert [(row["noise"], row["level"], row["seen"]) for row in rows] == [
        ("none", "0", "no"),
        ("gaussian", "0.1", "kind"),
        ("gaussian", "0.3", "level"),  # as in training
        ("gaussian", "0.5", "kind"),
        ("masking", "0.25", "no"),
    ]
    assert {row["n"] for row in rows} == {"100"}
    assert rows[0]["noisy psnr"] == "-"  # no error at all
    assert float(rows[0]["noisy ssim"]) == 1
    noisy = [float(row["noisy fvu"]) for row in rows[1:4]]
    assert noisy == sorted(noisy)
    kept = read(run / "evaluation" / "denoising.json")["tables"][0]
    model, data = (
        satae.load(run),
        satae.experiment.build.dataset(satae.config.saved_config.read_config(run / "config.yaml")),
    )
    x = data.batch(data.test.x)
    assert kept["rows"][0][kept["columns"].index("mse")] == pytest.approx((model(x) - x).square().mean().item())


def test_adversarial_noise_of_the_training_is_searched_for_on_the_evaluated_model(tmp_path):
    trained(tmp_path, "noise=adversarial", "noise.level=0.2", "noise.steps=2")
    rows = table(typed(tmp_path, "run=run", "evaluation=denoising", *QUICK, "denoising.uniform=[0.2]").out, "noise")
    found = {(row["noise"], row["level"], row["seen"]): float(row["fvu"]) for row in rows}
    assert found["adversarial", "0.2", "level"] > found["uniform", "0.2", "no"] > found["none", "0", "no"]


def test_the_default_split_is_test_and_valid_can_be_chosen(run):
    own = [
        read(run / "evaluation" / "denoising.json")
        for split in ("test", "valid")
        if typed(run, "run=.", "evaluation=denoising", f"split={split}", "samples=50", *QUICK).code == 0
    ]
    assert [found["key"]["split"] for found in own] == ["test", "valid"]
    assert own[0]["tables"][0]["rows"][0][-1] == 50
    assert own[0]["tables"][0]["rows"][0] != own[1]["tables"][0]["rows"][0]


def test_the_code_is_described_layer_by_layer_and_probed(run):
    rows = table(typed(run, "run=.", "evaluation=code", *QUICK).out, "of")
    found = {(row["of"], row["measure"]): row for row in rows}
    shares = ["saturated fraction", "dead fraction", "always on fraction", "share at the levels"]
    for layer in ("layer1", "layer2"):
        assert all(0 <= float(found[layer, measure]["value"]) <= 1 for measure in shares)
        assert 0 <= float(found[layer, "entropy"]["value"]) <= 1
    units = (1 - float(found["layer2", "saturated fraction"]["value"])) * 4
    assert float(found["layer2", "active units"]["value"]) == pytest.approx(units, rel=1e-3)
    for of in ("code", "input"):
        for measure in ("linear probe", "nearest neighbours"):
            row = found[of, measure]
            assert 0 <= float(row["low"]) < float(row["value"]) < float(row["high"]) <= 1
            assert row["n"] == "100"
    assert float(found["input", "linear probe"]["value"]) > 0.5
    assert float(found["encoder", "slope"]["value"]) > 0
    assert found["layer1", "weight kurtosis"]["n"] == str(64 * 16)


def test_energy_is_compared_with_inputs_that_are_no_data(run):
    out = typed(run, "run=.", "evaluation=manifold").out
    rows = table(out, "against")
    assert [row["against"] for row in rows] == ["uniform", "gaussian", "shuffled", "interpolated", "patches"]
    assert all(0 <= float(row["low"]) <= float(row["auroc"]) <= float(row["high"]) <= 1 for row in rows)
    assert float(rows[0]["auroc"]) > 0.9  # noise is unlike digits even for a model that has hardly begun
    assert {row["n"] for row in rows} == {"100"}


def test_data_in_the_plane_have_a_map_and_an_area_and_notes_on_the_rest(plane, measured_plane):
    outcome = measured_plane
    assert outcome.code == 0
    assert "no ssim: inputs of 2 are not grey or color images" in outcome.out
    assert "no accuracies: the data have no labels" in outcome.out
    assert "note: no other data set: the inputs are not images\n" in outcome.out
    assert "note: level: in the units of the data, from -1 to 1;" in outcome.out
    assert "note: defence.samples" not in outcome.out
    rows = {row["measure"]: float(row["value"]) for row in table(outcome.out, "measure")}
    final = read(plane / "metrics.json")
    assert rows["low_energy_area"] == pytest.approx(final["valid/low_energy_area"], rel=1e-3)
    Image.open(plane / "evaluation" / "manifold_map.png").verify()


def test_one_input_is_enough(run):
    outcome = typed(run, "run=.", *QUICK, "samples=1", "code.train=3", "manifold.other=patches")
    assert (outcome.code, outcome.err) == (0, "")
    assert "nearest neighbours (3): accuracy after 3 training inputs" in outcome.out
    assert table(outcome.out, "against")[-1]["against"] == "patches"


def test_the_json_file_holds_everything_that_results_depend_on(run):
    typed(run, "run=.", "evaluation=manifold", "manifold.other=none", "seed=3", "samples=20")
    found = read(run / "evaluation" / "manifold.json")
    weights = TrainedRun.read(run, best=False).fingerprint()
    subject = Subject.of(TrainedRun.read(run, best=False), chosen(samples=20))
    shared = {"best": False, "split": "test", "samples": 20, "seed": 3}
    assert found["key"] == {
        "format": 1,
        **provenance.program_version(),
        "part": "manifold",
        **shared,
        "manifold": {"other": "none"},
        "weights": weights,
        "inputs": subject.inputs_fingerprint(),
        "data": subject.training_data_fingerprint(),
    }
    assert found["versions"]["torch"] == torch.__version__
    assert found["pictures"] == ["manifold_energies.png"]


def test_a_part_is_measured_again_with_other_training_labels(tmp_path):
    draws = np.random.default_rng(0)
    arrays = {f"x_{split}": draws.random((60, 6), dtype=np.float32) for split in ("train", "test")}
    labels = {f"y_{split}": np.arange(60) % 3 for split in ("train", "test")}
    np.savez(tmp_path / "data.npz", **arrays, **labels)
    tiny = ("data=array", f"data.path={tmp_path / 'data.npz'}", "epochs=1", "arch.widths=[4,2]", "threads=1")
    run = trained(tmp_path, tiny=tiny)
    for measured in ("", ": already measured"):
        assert f"code{measured}\n" in typed(run, "run=.", "evaluation=code").out
    np.savez(tmp_path / "data.npz", **arrays, **{**labels, "y_train": np.arange(60)[::-1] % 3})
    build.load_data.cache_clear()
    assert "already" not in typed(run, "run=.", "evaluation=code").out


def test_the_csv_file_is_one_tidy_table(plane):
    typed(plane, "run=.", "evaluation=manifold")
    with (plane / "evaluation" / "manifold.csv").open() as file:
        rows = [*csv.DictReader(file)]
    kept = read(plane / "evaluation" / "manifold.json")["tables"]
    assert [row["table"] for row in rows] == ["manifold"] * 4 + ["plane"] * 2
    assert [float(row["auroc"]) for row in rows[:4]] == [row[1] for row in kept[0]["rows"]]
    assert rows[4]["auroc"] == ""


def test_tensorboard_shows_each_number_once_after_repeated_measurements(measured_digits, tmp_path):
    run = shutil.copytree(measured_digits[0], tmp_path / "run")
    assert typed(run, "run=.", *QUICK, "seed=1", "evaluation=denoising,code,manifold").code == 0
    sizes = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
    found = EventAccumulator(str(run / "evaluation"), size_guidance=sizes).Reload()
    tags = found.Tags()
    assert all(tag.startswith("evaluation/") for kind in sizes if kind in tags for tag in tags[kind])
    curve = found.Scalars("evaluation/denoising/gaussian/fvu")
    assert [event.step for event in curve] == [100, 300, 500]
    kept = read(run / "evaluation" / "denoising.json")
    assert [event.value for event in curve] == pytest.approx([value for _, value in kept["curves"]["gaussian/fvu"]])
    assert len(found.Scalars("evaluation/manifold/auroc/uniform")) == 1
    assert {"evaluation/denoising/pictures/curves", "evaluation/code/pictures/slope"} <= {*tags["images"]}
    assert "evaluation/code/pre_activations/layer1" in tags["histograms"]
    every = [tag for kind in sizes for tag in tags[kind]]
    assert len({*every}) == len(every)  # TensorBoard shows one alone of two
    text = found.Tensors("evaluation/denoising/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| gaussian | 0.1 | kind |" in text
    assert all(note in text.replace("\\", "") for note in kept["notes"])
    about = found.SummaryMetadata("evaluation/denoising/gaussian/fvu").summary_description
    assert "step 1000 is the level" in about
    training = EventAccumulator(str(run), size_guidance=sizes).Reload()
    assert not [tag for tag in training.Tags()["scalars"] if tag.startswith("evaluation")]


def test_a_result_is_used_again_until_a_setting_changes(run, monkeypatch):
    first = typed(run, "run=.", "evaluation=code", *QUICK)
    kept = (run / "evaluation" / "code.json").read_bytes()
    measure = Code.measure
    monkeypatch.setattr(Code, "measure", lambda *_: pytest.fail("measured again"))
    again = typed(run, "run=.", "evaluation=code", *QUICK, "batch_size=7", "threads=1")
    assert again.code == 0
    assert "code: already measured" in again.out
    assert table(again.out, "of") == table(first.out, "of")
    monkeypatch.setattr(Code, "measure", measure)
    assert "replaces" not in first.out + again.out
    other = typed(run, "run=.", "evaluation=code", *QUICK, "code.neighbours=1").out
    assert "already" not in other
    measured = json.loads(kept)["measured"][:10]
    line = f"code replaces what was measured on {measured} with other settings (code.neighbours=5)"
    assert line in other.splitlines()
    assert (run / "evaluation" / "code.json").read_bytes() != kept


def test_an_unreadable_result_is_measured_again(run):
    words = ("run=.", "evaluation=manifold", *QUICK)
    typed(run, *words)
    path = run / "evaluation" / "manifold.json"
    whole = read(path)
    row = whole["tables"][0]["rows"][0]
    torn = ["", "{", "[]", "null", '{"key": 1}', path.read_text()[:-10]]
    for change in (
        {"tables": 3},
        {"tables": [{}]},
        {"headline": [1]},
        {"headline": {"a": {}}},
        {"notes": None},
        {"tables": [{**whole["tables"][0], "rows": [row[:-1]]}]},
        {"tables": [{**whole["tables"][0], "rows": [[[], *row[1:]]]}]},
        {"tables": [{**whole["tables"][0], "shown": ["colour"]}]},
    ):
        torn.append(json.dumps(whole | change))
    assert read_if_current(path.parent, "manifold", whole["key"]) is not None
    for content in torn:
        path.write_text(content)
        assert read_if_current(path.parent, "manifold", whole["key"]) is None, content
    outcome = typed(run, *words)
    assert (outcome.code, outcome.err) == (0, "")
    assert "already" not in outcome.out
    assert read(path)["tables"] == whole["tables"]


def test_results_do_not_depend_on_the_batch_size(measured_digits, run):
    assert typed(run, "run=.", *QUICK, "batch_size=7").code == 0
    found = [
        [read(place / "evaluation" / f"{part}.json")["headline"] for part in PARTS]
        for place in (measured_digits[0], run)
    ]
    for one, other in zip(*found, strict=True):
        for name in [name for name, value in one.items() if isinstance(value, str)]:  # a verdict, a norm, a unit
            assert one.pop(name) == other.pop(name)
        assert one == pytest.approx(other, rel=1e-4)


def test_batches_shrink_when_memory_runs_out_unless_a_size_is_chosen(run):
    subject = Subject.of(TrainedRun.read(run, best=False), chosen(batch_size=None))
    seen = []

    def work(x):
        seen.append(len(x))
        if len(x) > 30:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return x

    assert torch.equal(subject.map_batches(work, subject.x), subject.x)
    assert max(seen[-4:]) <= 30
    with pytest.raises(torch.cuda.OutOfMemoryError):
        subject._replace(batch_size=50).map_batches(work, subject.x)


def chosen(**others):
    settings = dict(best=False, split="test", samples=1000, batch_size=None, seed=0, device="cpu", threads=1)
    return Chosen(parts={}, is_all=False, **{**settings, **others})


def test_the_installed_program_resumes_a_killed_evaluation_after_the_last_finished_part(run):
    words = ("run=.", "evaluation=denoising,code,manifold", *QUICK)
    program = subprocess.Popen([PROGRAM, *words], cwd=run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not (run / "evaluation" / "denoising.json").exists() and time.monotonic() < end:
        time.sleep(0.01)
    program.kill()
    program.communicate()
    outcome = there(run, *words, program=(PROGRAM,))
    assert (outcome.code, outcome.err) == (0, "")
    assert "denoising: already measured" in outcome.out
    assert outcome.out.splitlines()[-1] == f"page         satae-report {run}"
    shutil.rmtree(run / "evaluation")
    whole = typed(run, *words)
    for first in ("noise", "of", "against"):
        assert table(outcome.out, first) == table(whole.out, first)


def test_an_interrupt_ends_the_evaluation_between_two_steps(run, monkeypatch):
    def interrupted(part, subject, track):
        for _ in track([1, 2]):
            os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")

    monkeypatch.setattr(Code, "measure", interrupted)
    outcome = typed(run, "run=.", *QUICK)
    assert outcome.code == 130
    assert outcome.err.startswith("satae-eval: interrupted")
    assert "finished attacks are kept" in outcome.err
    assert {path.name for path in (run / "evaluation").glob("*.json")} == {"denoising.json"}


def test_a_second_evaluation_of_a_run_is_refused(run):
    (run / "evaluation").mkdir()
    lock = lock_directory(run / "evaluation")
    outcome = typed(run, "run=.", *QUICK)
    lock.release()
    assert outcome.code == 2
    assert "evaluation: another process is at work here" in outcome.err


def test_a_sweep_prints_a_line_for_each_run_and_part_and_a_table_at_the_end(tmp_path):
    words = ("sweep=first", "alpha=0,1", "seed=0,1", "data.limit=64", "epochs=1", "arch.widths=[8]")
    assert here(tmp_path, *words).code == 0
    sweep, words = tmp_path / "outputs" / "first", ("evaluation=denoising", *QUICK)
    outcome = typed(tmp_path, "run=outputs/first", *words)
    assert outcome.code == 0
    names = sorted(path.name for path in sweep.glob("alpha=*"))
    told = {name: read(sweep / name / "evaluation" / "denoising.json")["headline"]["fvu"] for name in names}
    lines = outcome.out.splitlines()
    assert [line for line in lines if line.startswith("  denoising     fvu ")] == lines[2:12:3]
    assert [line.partition(":")[0] for line in lines[:12:3]] == [f"outputs/first/{name}" for name in names]
    assert lines[-4].startswith("results      evaluation/ in each run")
    assert lines[-2:] == ["TensorBoard  tensorboard --logdir outputs", "page         satae-report outputs/first"]
    rows = table(outcome.out, "alpha")
    assert [(row["alpha"], row["seeds"]) for row in rows] == [("0", "2"), ("1", "2")]
    two = [told[f"alpha=1,seed={seed}"] for seed in (0, 1)]
    assert rows[1]["fvu"] == format_deviation(statistics.mean(two), statistics.stdev(two)).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    again = typed(sweep, f"run={names[0]},{names[1]}", *words)  # names with commas
    assert again.out.count("(already measured)") == 2
    assert again.out.endswith(f"satae-report '{names[0]}' '{names[1]}'\n".replace("'", ""))
    shutil.rmtree(sweep / names[0] / "checkpoints")
    partly = typed(tmp_path, "run=outputs/first", *words)
    assert partly.code == 2
    assert "1 of 4 runs could not be evaluated" in partly.err
    assert "no checkpoint there" in partly.out
    assert [row["seeds"] for row in table(partly.out, "alpha")] == ["1", "2"]
    assert table(partly.out, "alpha")[0]["fvu"] == f"{told[names[1]]:.4g}"


def test_folders_beside_runs_are_skipped_with_a_message(run, tmp_path):
    (tmp_path / "outputs" / "first").mkdir(parents=True)
    (tmp_path / "outputs" / "first" / "sweep.json").write_text("{}")
    (tmp_path / "outputs" / "other").mkdir()
    for place in ("one", "first/a", "first/b", "day/time"):
        shutil.copytree(run, tmp_path / "outputs" / place)
    outcome = typed(tmp_path, "run=outputs", "evaluation=manifold", *QUICK)
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "left out: day (1 run), first (a sweep of 2 runs); name them in run= too"
    assert (tmp_path / "outputs" / "one" / "evaluation").exists()
    assert not (tmp_path / "outputs" / "first" / "a" / "evaluation").exists()


def test_runs_of_a_sweep_that_have_not_started_are_counted_with_the_command_that_starts_them(tmp_path, monkeypatch):
    sweep = tmp_path / "first"
    made.whole(sweep / "seed=0")
    index = {"a": {"0": "seed=0", "1": "seed=1"}}
    write_manifest(sweep, Manifest(["x"], [["seed=0,1"]], ["seed"], index))
    monkeypatch.setattr("satae.evaluation.runner.evaluate_runs", lambda *arguments: "done")
    outcome = typed(tmp_path, "run=first")
    assert outcome.out == "first: 1 of 2 runs has not started; resume with: satae-train sweep=./first\ndone\n"
    assert typed(tmp_path, "run=first/seed=0").out == "done\n"


def test_several_parts_can_be_chosen(run):
    outcome = typed(run, "run=.", "evaluation=manifold,denoising", *QUICK)
    assert outcome.code == 0
    assert {path.name for path in (run / "evaluation").glob("*.json")} == {"denoising.json", "manifold.json"}


def test_a_part_with_more_samples_than_all_has_a_note(run):
    limited = typed(run, "run=.", "evaluation=perturbation", *QUICK, "samples=5")
    assert "note: perturbation.samples=10: no more than samples=5\n" in limited.out
    assert "no more than" not in typed(run, "run=.", "evaluation=perturbation", *QUICK).out


def test_noise_beyond_the_range_of_the_data_has_a_note(run):
    outcome = typed(run, "run=.", "evaluation=denoising", *QUICK, "denoising.gaussian=[1,10]", "denoising.uniform=[20]")
    line = "note: gaussian 10, uniform 20: more than the whole range of the data, which is 1"
    assert line in outcome.out.splitlines()


def test_help_is_printed_fast(tmp_path):
    looks = "import sys; from satae import evaluate; sys.argv = ['satae-eval', '--help']; evaluate.main()"
    heavy = "sys.exit(len({'torch', 'numpy', 'sklearn', 'matplotlib'} & {*sys.modules}))"
    outcome = there(tmp_path, "-c", f"{looks}; {heavy}", program=(os.sys.executable,))
    assert outcome.code == 0
    assert outcome.out.startswith("satae-eval measures what a trained model is like")
    assert max(map(len, outcome.out.splitlines())) <= 120


def test_a_result_is_written_completely_or_not_at_all(run, monkeypatch):
    typed(run, "run=.", "evaluation=code", *QUICK)
    table_ = ResultTable("code", ["of", "n"], [["x"]], ["of"])  # a row too short
    monkeypatch.setattr(Code, "measure", lambda *_: PartResult([table_], {}))
    outcome = typed(run, "run=.", "evaluation=code", *QUICK, "seed=9")
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert not (run / "evaluation" / "code.json").exists()


def test_the_json_file_holds_plain_numbers(run):
    typed(run, "run=.", "evaluation=denoising", *QUICK)
    text = (run / "evaluation" / "denoising.json").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))
