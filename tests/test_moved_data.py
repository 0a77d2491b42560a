"""The same data in another place: runs resume there, sweeps stay whole, and other data are refused."""

import csv
import json
import shutil

import evaluated
import numpy
import pytest
from PIL import Image
from program import TINY, here, read, runs

from satae.experiment import build

WORDS = (*(word for word in TINY if "limit" not in word), "data=array", "data.path=old/x.npy")


def write(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy.save(path, numpy.random.default_rng(seed).random((60, 5), dtype="float32"))


@pytest.fixture
def place(tmp_path):
    """A folder with data in ``old/``, the same in ``new/``, and others in ``other/``."""
    for name, seed in (("old", 0), ("new", 0), ("other", 1)):
        write(tmp_path / name / "x.npy", seed)
    return tmp_path


def forget(place):
    """Remove the data from their old place, as in a later process."""
    shutil.rmtree(place / "old")
    build.load_data.cache_clear()


def untimed(run):
    return {key: value for key, value in read(run / "metrics.json").items() if key not in ("wall_s", "samples_per_s")}


def test_a_run_resumes_with_the_same_data_elsewhere_and_records_both_places(place):
    assert here(place, *WORDS, "alpha_schedule=constant", "hydra.run.dir=run").code == 0
    assert here(place, *WORDS, "alpha_schedule=constant", "hydra.run.dir=whole", "epochs=3").code == 0
    forget(place)
    other = here(place, "resume=run", "epochs=3", "data.path=other/x.npy")
    assert (other.code, len(other.err.splitlines())) == (2, 1)
    assert "run: cannot resume (the numbers in the data have changed)" in other.err
    assert "old" in (place / "run" / "config.yaml").read_text()
    outcome = here(place, "resume=run", "epochs=3", "data.path=new/x.npy")
    assert (outcome.code, outcome.err) == (0, "")
    assert untimed(place / "run") == untimed(place / "whole")
    assert f"path: {place}/new/x.npy" in (place / "run" / "config.yaml").read_text()
    record = read(place / "run" / "run.json")
    assert record["resumed"][0]["before"]["data.path"] == record["first_paths"]["data.path"] == f"{place}/old/x.npy"
    assert here(place, "resume=run", "epochs=4").code == 0  # it knows the new place


def test_test_data_and_labels_elsewhere_must_be_the_same_unless_there_were_none(place):
    write(place / "test.npy", seed=2)
    write(place / "other_test.npy", seed=3)
    for name, classes in (("y", 2), ("z", 3)):
        numpy.save(place / f"{name}.npy", numpy.arange(60) % classes)
    words = (*WORDS, "data.test_path=test.npy")
    assert here(place, *words, "data.labels=y.npy", "hydra.run.dir=run").code == 0
    assert here(place, *words, "hydra.run.dir=without").code == 0
    (place / "copy.npy").write_bytes((place / "y.npy").read_bytes())
    for run, word, what in (
        ("run", "data.test_path=other_test.npy", "the test examples have changed"),
        ("run", "data.labels=z.npy", "the training labels have changed"),
        ("run", "data.labels=copy.npy", ""),
        ("without", "data.labels=y.npy", ""),
    ):
        evaluated_run = evaluated.typed(place, f"run={run}", "evaluation=denoising", *evaluated.QUICK[:4], word)
        resumed = here(place, f"resume={run}", "epochs=3", word)
        for outcome in (evaluated_run, resumed):
            assert (outcome.code, what in outcome.err) == (2 if what else 0, True), outcome


def test_a_run_without_a_checkpoint_compares_the_data_with_its_record(place):
    assert here(place, *WORDS, "hydra.run.dir=run").code == 0
    shutil.rmtree(place / "run" / "checkpoints")
    file = place / "run" / "run.json"
    record = read(file) | {"status": "interrupted", "exit_code": 130}
    file.write_text(json.dumps(record))
    outcome = here(place, "resume=run", "data.path=other/x.npy")
    typed = f"data.path={place}/other/x.npy"
    remedy = f"start over with rerun=run {typed}"
    assert (outcome.code, outcome.err) == (2, f"satae-train: {typed}: the numbers in these data are others; {remedy}\n")
    earlier = record | {"data": {key: value for key, value in record["data"].items() if key != "fingerprint"}}
    file.write_text(json.dumps(earlier))
    outcome = here(place, "resume=run", f"data.path={place}/new/x.npy")
    assert outcome.code == 2
    assert "no checkpoint says which numbers the data had; start over with" in outcome.err
    file.write_text(json.dumps(record))
    assert here(place, "resume=run", "data.path=new/x.npy").code == 0


def test_a_folder_of_images_may_move(tmp_path):
    for number in range(20):
        path = tmp_path / "old" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = numpy.random.default_rng(number).integers(0, 256, (6, 6), dtype="uint8")
        Image.fromarray(pixels).save(path)
    words = (
        *(word for word in TINY if "limit" not in word),
        "data=folder",
        "data.path=old",
        "data.size=6",
        "batch_size=4",
    )
    assert here(tmp_path, *words, "hydra.run.dir=run").code == 0
    (tmp_path / "old").rename(tmp_path / "new")
    build.load_data.cache_clear()
    assert here(tmp_path, "resume=run", "epochs=3", "data.path=new").code == 0
    (tmp_path / "new" / "a" / "0.png").unlink()
    build.load_data.cache_clear()
    (tmp_path / "new").rename(tmp_path / "newer")
    outcome = here(tmp_path, "resume=run", "epochs=4", "data.path=newer")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)


@pytest.mark.parametrize("again", [("sweep=s",), (*WORDS[:-1], "sweep=s", "alpha=0,0.1", "seed=0,1")])
def test_a_sweep_goes_on_with_the_same_data_elsewhere(place, again):
    assert here(place, *WORDS, "sweep=s", "alpha=0,0.1", "seed=0,1").code == 0
    sweep = place / "outputs" / "s"
    forget(place)
    outcome = here(place, *again, "data.path=other/x.npy")
    assert outcome.code == 2
    assert "data.path=" in outcome.err
    outcome = here(place, *again, "data.path=new/x.npy")
    assert (outcome.code, outcome.err) == (0, "")
    assert "4 runs: 4 done already (skipped)" in outcome.out
    more = here(place, *WORDS[:-1], "sweep=s", "alpha=0,0.1", "seed=0,1,2", "data.path=new/x.npy")
    assert (more.code, more.err) == (0, "")
    assert "6 runs: 4 done already (skipped), 2 new" in more.out
    assert len(runs(sweep)) == 6
    assert read(sweep / "alpha=0,seed=2" / "run.json")["first_paths"] == {"data.path": f"{place}/old/x.npy"}
    assert sorted(map(len, read(sweep / "sweep.json")["runs"].values())) == [3, 3]  # seeds of each configuration
    with (sweep / "report" / "groups.csv").open() as file:
        assert {(row["configuration"], row["runs"]) for row in csv.DictReader(file)} == {
            ("alpha=0", "3"),
            ("alpha=0.1", "3"),
        }


def test_a_sweep_over_files_does_not_take_one_for_another(place):
    words = (*WORDS[:-1], "sweep=s", "data.path=old/x.npy,other/x.npy")
    assert here(place, *words).code == 0
    outcome = here(place, *WORDS[:-1], "sweep=s", "data.path=old/x.npy,new/x.npy")
    assert "2 runs: 1 done already (skipped), 1 new" in outcome.out


@pytest.mark.parametrize("best", ["true", "false"])
def test_a_run_is_evaluated_on_the_same_data_elsewhere(place, best):
    evaluated.trained(place, "data=array", "data.path=old/x.npy", tiny=WORDS[:-2])
    forget(place)
    words = ("run=run", "evaluation=denoising", *evaluated.QUICK[:4], f"best={best}")
    assert evaluated.typed(place, *words).code == 2
    other = evaluated.typed(place, *words, "data.path=other/x.npy")
    assert (other.code, len(other.err.splitlines())) == (2, 1)
    assert "cannot be evaluated on its data (the numbers in the data have changed)" in other.err
    outcome = evaluated.typed(place, *words, "data.path=new/x.npy")
    assert (outcome.code, outcome.err) == (0, "")
    unknown = evaluated.typed(place, *words, "data.pth=new/x.npy")
    assert (unknown.code, "did you mean data.path" in unknown.err) == (2, True)
