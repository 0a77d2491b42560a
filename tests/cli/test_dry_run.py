"""satae-train --dry-run tells what would be made, and writes nothing."""

import json

import pytest
from program import TINY, close_logs, here

from satae.runs.layout import RECORD_FILE


def snapshot(folder):
    """Every path below a folder with its content, and the time of its last change."""
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a sweep of two finished runs."""
    folder = tmp_path_factory.mktemp("dry")
    assert here(folder, *TINY, "sweep=first", "alpha=0,0.1").code == 0
    close_logs()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-m", "alpha=0,1"],
        ["sweep=first", "alpha=0,0.1,1"],
        ["sweep=other", "seed=0,1"],
        ["hydra.run.dir=here"],
        ["data=mnist"],
        ["alpha=-1"],
        ["sweep=first", "alpha=0,0.1", "batch_size=7"],
    ],
    ids=" ".join,
)
def test_a_dry_run_leaves_the_tree_as_it_was(place, words):
    before = snapshot(place)
    tiny = [word for word in TINY if not word.startswith("data.limit") or "data=mnist" not in words]
    here(place, "--dry-run", *tiny, *words)
    assert snapshot(place) == before


def test_a_dry_run_of_an_existing_sweep_tells_new_runs_from_those_to_skip(place):
    done = here(place, "--dry-run", *TINY, "sweep=first", "alpha=0,0.1,1")
    assert done.code == 0
    assert done.out.splitlines()[:5] == [
        "sweep outputs/first",
        "3 runs: 2 done already (skipped), 1 new",
        "  skip    alpha=0  (finished)",
        "  skip    alpha=0.1  (finished)",
        "  new     alpha=1",
    ]
    assert "judged by 2 finished runs of the same network in this sweep" in done.out
    assert done.out.endswith("dry run: nothing has been written\n")


def test_a_dry_run_tells_from_where_a_run_resumes(place):
    done = here(place, "--dry-run", "resume=outputs/first/alpha=0", "epochs=5")
    assert "  resume  outputs/first/alpha=0  (after 2 of 5 epochs)\n" in done.out


def test_a_dry_run_of_a_finished_run_skips_it(place):
    done = here(place, "--dry-run", "resume=outputs/first/alpha=0")
    assert "  skip    outputs/first/alpha=0  (finished)\n" in done.out


def test_a_run_without_a_folder_of_its_own_is_named_by_its_start(place):
    assert "named by the time at which it starts" in here(place, "--dry-run", *TINY).out
    assert "named by" not in here(place, "--dry-run", *TINY, "hydra.run.dir=mine").out


def test_another_network_has_no_forecast(place):
    done = here(place, "--dry-run", *TINY, "arch.widths=[8,2]")
    assert "no forecast" in done.out


def test_the_forecast_grows_with_the_epochs(place):
    for run in (place / "outputs" / "first").glob("alpha=*"):
        record = json.loads((run / RECORD_FILE).read_text())
        (run / RECORD_FILE).write_text(json.dumps(record | {"wall_s": 6.0}))  # 3 s an epoch
    for epochs, time in ((10, "30 s"), (100, "5 min"), (10_000, "8.3 h")):
        assert f"time: about {time}\n" in here(place, "--dry-run", *TINY, f"epochs={epochs}").out


def test_a_dry_run_refuses_what_a_run_refuses(place):
    done = here(place, "--dry-run", *TINY, "alpha=-1")
    assert (done.code, done.err) == (2, "satae-train: alpha=-1: must be at least 0\n")


def test_data_that_are_not_here_are_not_fetched_and_not_checked(place):
    done = here(place, "--dry-run", "data=mnist")
    assert done.code == 0
    assert "not checked: the data of 1 run, which must be fetched or decoded first\n" in done.out


def test_a_dry_run_stands_beside_no_other_flag_that_shows(place):
    done = here(place, "--dry-run", "--cfg", "job")
    assert (done.code, done.err.count("\n")) == (2, 1)
