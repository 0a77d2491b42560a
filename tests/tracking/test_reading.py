"""What is read of a run directory, whatever stands there."""

import json
import math

import pytest

from satae.config import ConfigError
from satae.tracking import reading
from satae.tracking.reading import history, read


@pytest.mark.parametrize("more", ["[" * 10**6, " " * 10**6 + "{}", '{"epoch": 3, "x": ' + "9" * 10**6 + "}"])
def test_a_history_ends_before_a_line_that_is_too_long(tmp_path, more):
    lines = ['{"epoch": 1}', '{"epoch": 2, "valid/fvu": null}']
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, more, '{"epoch": 3}']))
    assert [line["epoch"] for line in history(tmp_path / "metrics.jsonl")] == [1, 2]


@pytest.mark.parametrize(
    "more", [{"epoch": 3, "x": 10**400}, {"epoch": 3, "x": -(10**400)}, {"epoch": 10**400}, {"epoch": 2**63}]
)
def test_a_history_ends_before_a_number_that_cannot_be_told(tmp_path, more):
    lines = [{"epoch": 1}, {"epoch": 2, "x": 10**300, "y": math.inf}, more, {"epoch": 3}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert [line["epoch"] for line in history(tmp_path / "metrics.jsonl")] == [1, 2]


def test_a_history_without_an_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    line = '{"epoch": 1, "a": 1.0}\n'
    (tmp_path / "metrics.jsonl").write_text(line)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.truncate(2**33)  # of zeros, without a line's end
    parsed = []
    real = reading.json.loads
    monkeypatch.setattr(reading.json, "loads", lambda text: parsed.append(len(text)) or real(text))
    assert [line["epoch"] for line in history(tmp_path / "metrics.jsonl")] == [1]
    assert parsed == [len(line)]


BROKEN = [
    *["", "{", "[]", "{}", "null", "[" * 100_000, "{not json", '{"status": "finished", "overrides": 1}'],
    '{"status": "finished", "command": "", "overrides": [1]}',
    '{"status": "finished", "command": "", "overrides": [], "wall_s": []}',
    '{"status": "finished", "command": "", "overrides": [], "resumed": 5}',
    '{"status": "finished", "command": "", "overrides": [], "started": 5}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_record_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run\.json"):
        read(tmp_path)
