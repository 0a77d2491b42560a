import json

import pytest

from satae.tracking.record import CONFIG, Record, close_unended, read

CODES = {KeyboardInterrupt: 130, ArithmeticError: 3}


@pytest.fixture
def begin(tmp_path, configuration):
    def begun(*overrides, command="satae-train -m act=relu alpha=0,1"):
        return Record(tmp_path, configuration(), command, list(overrides), CODES)

    return begun


def test_a_run_is_named_by_what_tells_it_from_the_others(begin):
    assert begin("act=relu", "alpha=0").name == "alpha=0"


def test_a_second_run_cannot_begin_in_the_directory(tmp_path, begin):
    first = begin("alpha=0")
    with pytest.raises(FileExistsError):
        begin("alpha=1")
    assert read(first.directory)["overrides"] == ["alpha=0"]
    assert (tmp_path / CONFIG).exists()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (None, "finished", 0),
        (RuntimeError("x"), "failed", 1),
        (ArithmeticError("x"), "failed", 3),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
)
def test_how_a_run_ends_is_written_down(tmp_path, begin, error, status, code):
    def run():
        with begin():
            assert read(tmp_path)["status"] == "running"
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            run()
    else:
        run()
    found = read(tmp_path)
    assert (found["status"], found["exit_code"]) == (status, code)
    assert found["ended"] >= found["started"]
    close_unended(tmp_path, OSError("too late"), 1)
    assert read(tmp_path) == found


@pytest.mark.parametrize(("error", "status"), [(OSError("killed"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_a_run_that_could_not_end_itself_is_closed(tmp_path, begin, error, status):
    begin("alpha=0")
    close_unended(tmp_path, error, 7)
    found = json.loads((tmp_path / "run.json").read_text())
    assert (found["status"], found["exit_code"], found["overrides"]) == (status, 7, ["alpha=0"])
    assert found["error"] == f"{type(error).__name__}: {error}"
