"""A TensorBoard that is open while a sweep runs, with both of its readers."""

import importlib.util
import json
from pathlib import Path
from urllib.error import HTTPError

import pytest
from made import read_all, run
from tensorboard_server import served
from torch.utils.tensorboard import SummaryWriter

from satae.sweeps.tensorboard_sweep import show_sweep, update_run

READERS = {"fast": ["--load_fast=true"], "slow": ["--load_fast=false"]}
BAND = "over seeds/alpha=0.1"


def has_data_server():
    found = importlib.util.find_spec("tensorboard_data_server")
    return found is not None and (Path(found.origin).parent / "bin" / "server").exists()


@pytest.fixture(params=READERS)
def reader(request):
    if request.param == "fast" and not has_data_server():
        pytest.skip("tensorboard-data-server has no program for this machine")
    return request.param


def begin(sweep, alpha, seed):
    """A run of two epochs, whose fvu is that of its seed less .1 an epoch; it has not ended yet."""
    history = [{"epoch": epoch, "valid/fvu": seed - 0.1 * epoch} for epoch in (1, 2)]
    folder = run(sweep / f"alpha={alpha:g},seed={seed}", status="running", alpha=alpha, seed=seed, history=history)
    update_run(folder)
    with SummaryWriter(str(folder)) as writer:
        writer.add_scalar("valid/fvu", seed, 2)
    return folder


def end(folder, status="finished"):
    record = json.loads((folder / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps({**record, "status": status}))
    update_run(folder)


def mean(tensorboard, tag="valid/fvu"):
    """Of the configuration, by step."""
    try:
        found = tensorboard.get("plugin/scalars/scalars", run=BAND, tag=tag)
    except HTTPError:  # not there yet
        return None
    return [(step, round(value, 4)) for _, step, value in found]


def statuses(tensorboard):
    asked = {"allowedStatuses": [f"STATUS_{word}" for word in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]}
    asked |= {"startIndex": 0, "sliceSize": 100, "aggregationType": "AGGREGATION_AVG", "colParams": []}
    found = tensorboard.get("plugin/hparams/session_groups", asked).get("sessionGroups", [])
    return {(group["name"], session["name"]): session.get("status") for group in found for session in group["sessions"]}


def domain(tensorboard):
    found = tensorboard.get("plugin/hparams/experiment", {"experimentName": ""})
    return [(info["name"], info.get("domainDiscrete")) for info in found["hparamInfos"]]


def test_an_open_tensorboard_shows_new_seeds_and_final_statuses(tmp_path, reader):
    folders = [begin(tmp_path, 0.1, seed) for seed in (0, 1)]
    with served(tmp_path, "--reload_interval", "1", *READERS[reader]) as tensorboard:
        tensorboard.comes_to([(1, 0.4), (2, 0.3)], mean)
        for folder in folders:
            end(folder)
        for seed, means in [(2, [(1, 0.9), (2, 0.8)]), (3, [(1, 1.4), (2, 1.3)])]:
            end(begin(tmp_path, 0.1, seed), "finished" if seed == 2 else "failed")
            tensorboard.comes_to(means, mean)
        assert len(mean(tensorboard, "within/valid/fvu/lower")) == 2
        ends = ["SUCCESS", "SUCCESS", "SUCCESS", "FAILURE"]
        wanted = {("alpha=0.1", f"alpha=0.1,seed={seed}"): f"STATUS_{word}" for seed, word in enumerate(ends)}
        tensorboard.comes_to(wanted, statuses)


def test_an_open_tensorboard_shows_added_values(tmp_path):
    if not has_data_server():
        pytest.skip("the slow reader keeps what it has read of it")
    for alpha in (0.0, 0.1):
        end(begin(tmp_path, alpha, 0))
    show_sweep(tmp_path, read_all(tmp_path))
    with served(tmp_path, "--reload_interval", "1") as tensorboard:
        tensorboard.comes_to([("alpha", [0, 0.1])], domain)
        end(begin(tmp_path, 1.0, 0))
        show_sweep(tmp_path, read_all(tmp_path))
        tensorboard.comes_to([("alpha", [0, 0.1, 1])], domain)
