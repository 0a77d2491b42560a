import json
import math

import pytest
from made import run

from satae.config import ConfigError
from satae.sweeps.results import UnreadableRun, read_run, try_read_run

MEASURES = {"valid/fvu": 0.5, "valid/collapsed": 0.0}


def test_metrics_count_only_if_the_run_is_finished(tmp_path):
    # finished after 2 epochs, then gone on with to 4 and cut off: the measures are still those of before
    folder = run(tmp_path / "0", MEASURES, epochs=2)
    assert read_run(folder).metrics == MEASURES
    for status in ("running", "interrupted", "failed"):
        longer = run(tmp_path / status, MEASURES, status=status, epochs=4)
        assert (read_run(longer).choices["epochs"], read_run(longer).metrics) == (4, {})


def test_a_null_metric_is_read_as_nan(tmp_path):
    found = read_run(run(tmp_path / "0", {"valid/fvu": None, "valid/collapsed": None}))
    assert math.isnan(found.metrics["valid/fvu"])
    assert not found.is_collapsed
    assert read_run(run(tmp_path / "1", {"valid/collapsed": 1.0})).is_collapsed


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", "seed: x"),
        ("config.yaml", "["),
        ("run.json", "3"),
        ("metrics.json", "{"),
        ("metrics.json", json.dumps({"valid/fvu": 10**400})),
    ],
)
def test_an_unreadable_run_has_a_reason(tmp_path, file, content):
    folder = run(tmp_path / "0", MEASURES)
    (folder / file).write_text(content)
    found = try_read_run(folder)
    assert isinstance(found, UnreadableRun)
    assert found.reason.startswith(f"{file}: ")
    with pytest.raises(ConfigError, match=file):
        read_run(folder)
