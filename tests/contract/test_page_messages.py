"""The exact words of satae-report: its help, its refusals, and the sentences of its page."""

import made
import program
import pytest
from pages import Page
from program import files

from satae import report as command
from satae.page.writing import write_report
from satae.sweeps import manifest


def typed(*words):
    return program.typed(command.main, "satae-report", *words)


def cut_off(folder, begun):
    """A sweep of four runs of which some have begun."""
    folder.mkdir()
    names = [f"alpha=0.1,seed={seed}" for seed in range(4)]
    asked = {"a": {str(seed): name for seed, name in enumerate(names)}}
    manifest.write_manifest(
        folder, manifest.EMPTY_MANIFEST.with_command("satae-train", ["seed=range(4)"], ["seed"]).with_runs(asked)
    )
    for seed in range(begun):
        made.whole(folder / names[seed], seed=seed)
    return folder


@pytest.mark.parametrize(
    ("begun", "told"), [(1, "3 of 4 runs have not started"), (3, "1 of 4 runs has not started"), (4, "")]
)
def test_an_interrupted_sweep_reports_how_many_runs_have_not_started(tmp_path, monkeypatch, begun, told):
    monkeypatch.chdir(tmp_path)
    cut_off(tmp_path / "cut", begun)
    code, out, err = typed("cut")
    assert (code, err) == (0, "")
    line = f"cut: {told}; resume with: satae-train sweep=./cut"
    assert out.splitlines() == ["cut/report/index.html", *([line] if told else [])]
    seen = Page(tmp_path / "cut" / "report" / "index.html").seen()
    assert ("not started" in seen) == bool(told)
    assert told in seen


def test_a_sweep_without_started_runs_is_refused(tmp_path):
    code, out, err = typed(str(cut_off(tmp_path / "cut", 0)))
    assert (code, out) == (2, "")
    assert "none of its 4 runs has started; resume with: satae-train sweep=" in err


def test_the_page_explains_its_intervals(tmp_path):
    page = Page(write_report([made.sweep(tmp_path / "three", acts=["relu"])]))
    assert "± is half of the 95 % interval of a mean" in page.seen()
    assert "not the standard deviation" in page.seen()
    assert "Two seeds" not in page.seen()
    assert [title for title in page.tables[0][0] if "±" in title] == ["valid fvu ± 95 %", "saturated ± 95 %"]
    assert "±" not in "".join(Page(write_report([made.sweep(tmp_path / "one", seeds=[0])])).tables[0][0])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere: no such folder; name a run directory or the folder of a sweep"),
        (["first"], "first: no such folder; did you mean outputs/first?"),
        (["empty"], "empty: holds no runs; name a run directory or the folder of a sweep"),
        (["above"], "above: holds no runs; did you mean above/sweep?"),
        (["out=x"], "no folder is named; name run directories or folders of sweeps"),
        (["run", "out="], "out=: is empty; name a folder"),
        (["run", "out=no/such"], "out=no/such: there is no folder no"),
        (["run", "out=empty/notes"], "out=empty/notes: is not a folder; name another one"),
        (["run", "out=run"], "out=run: holds config.yaml, which is not part of a report; move it, or name another"),
        (["run=outputs/x"], "run=outputs/x: no such option; did you mean outputs/x?; the only option is out"),
        (["run", "uot=x"], "uot=x: no such option; did you mean out?; the only option is out (see --help)"),
        (["run", "--out"], "--out: no such option"),
    ],
)
def test_invalid_words_are_refused_in_one_line(tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    made.whole(tmp_path / "run")
    made.whole(tmp_path / "above" / "sweep" / "0")
    made.whole(tmp_path / "outputs" / "first" / "0")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes").touch()
    before = files(tmp_path)
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"satae-report: {told}")
    assert len(err.splitlines()) == 1
    assert files(tmp_path) == before


def test_help_lists_options_and_files():
    code, out, err = typed("--help")
    assert (code, err) == (0, "")
    assert all(word in out for word in ("FOLDER", "out", "index.html", "runs.csv", "groups.csv"))
    assert typed() == (2, out, "")
