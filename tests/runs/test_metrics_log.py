"""metrics.jsonl, read back whatever it holds."""

import json
import math

import pytest

from satae.runs import record
from satae.runs.record import read_epochs


@pytest.mark.parametrize("more", ["[" * 10**6, " " * 10**6 + "{}", '{"epoch": 3, "x": ' + "9" * 10**6 + "}"])
def test_reading_stops_at_a_line_that_is_too_long(tmp_path, more):
    written = ['{"epoch": 1}', '{"epoch": 2, "valid/fvu": null}']
    (tmp_path / "metrics.jsonl").write_text("\n".join([*written, more, '{"epoch": 3}']))
    assert [line["epoch"] for line in read_epochs(tmp_path)] == [1, 2]


@pytest.mark.parametrize(
    "more", [{"epoch": 3, "x": 10**400}, {"epoch": 3, "x": -(10**400)}, {"epoch": 10**400}, {"epoch": 2**63}]
)
def test_reading_stops_at_a_number_beyond_every_float(tmp_path, more):
    written = [{"epoch": 1}, {"epoch": 2, "x": 10**300, "y": math.inf}, more, {"epoch": 3}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, written)))
    assert [line["epoch"] for line in read_epochs(tmp_path)] == [1, 2]


@pytest.mark.parametrize(
    ("bad", "unread"),
    [
        ("{}\n", "1 line from there on is"),
        ('{"epoch": 3, "loss"\n{"epoch": 4}\n', "2 lines from there on are"),
        ('\n{"epoch": 4}\n{"epo', "3 lines from there on are"),
    ],
)
def test_lines_that_are_not_read_are_reported_once(tmp_path, monkeypatch, caplog, bad, unread):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n' + bad)
    for _ in range(2):
        assert [line["epoch"] for line in read_epochs(tmp_path)] == [1, 2]
    assert caplog.messages == [f"metrics.jsonl: line 3 is not the metrics of an epoch; {unread} not read"]


def test_the_count_of_unread_lines_is_bounded(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(record, "MAX_COUNTED_BYTES", 4)
    (tmp_path / "metrics.jsonl").write_text("x\n" * 9)
    assert [*read_epochs(tmp_path)] == []
    assert "line 1 is not the metrics of an epoch; 3 lines or more from there on are not read" in caplog.text


@pytest.mark.parametrize("torn", ["", "{", '{"epoch": 3, "loss": 0.', "3"])
def test_a_torn_last_line_is_not_reported(tmp_path, caplog, torn):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n' + torn)
    assert [line["epoch"] for line in read_epochs(tmp_path)] == [1, 2]
    assert caplog.messages == []


def test_an_endless_line_is_not_read_to_its_end(tmp_path, monkeypatch):
    line = '{"epoch": 1, "a": 1.0}\n'
    (tmp_path / "metrics.jsonl").write_text(line)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.truncate(2**33)  # of zeros, without a line's end
    parsed = []
    real = record.json.loads
    monkeypatch.setattr(record.json, "loads", lambda text: parsed.append(len(text)) or real(text))
    assert [line["epoch"] for line in read_epochs(tmp_path)] == [1]
    assert parsed == [len(line)]
