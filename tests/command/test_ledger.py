import subprocess
import sys
from pathlib import Path

from program import TINY, here, read

from satae.command.ledger import Begun, Ledger, ledger


def test_notes_of_every_process_are_found_and_none_is_left_behind(tmp_path):
    runs = [Begun(tmp_path / "sweep" / "é 0", tmp_path / "sweep"), Begun(tmp_path / "run", None)]
    code = (
        "import sys; from pathlib import Path; from satae.command.ledger import Ledger, Begun\n"
        "Ledger(Path(sys.argv[1])).add(Begun(Path(sys.argv[2]), None))"
    )
    with ledger() as notes:
        assert notes.begun() == []
        notes.add(runs[0])
        subprocess.run([sys.executable, "-c", code, str(notes.folder), str(runs[1].directory)], check=True)
        assert sorted(notes.begun()) == sorted(runs, key=lambda run: run.directory)
        assert Ledger(Path(notes.folder)).begun() == notes.begun()
    assert not notes.folder.exists()


def test_a_note_that_cannot_be_left_ends_nothing_and_one_that_is_torn_is_passed_over(tmp_path):
    (tmp_path / "file").touch()
    Ledger(tmp_path / "file" / "below").add(Begun(tmp_path, None))
    with ledger() as notes:
        (notes.folder / "torn.partial").write_text('["/ru')
        notes.folder.joinpath("torn.partial").touch()
        notes.add(Begun(tmp_path, None))
        assert notes.begun() == [Begun(tmp_path, None)]


def test_what_became_of_a_run_without_a_note_is_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr(Ledger, "add", lambda notes, place: None)
    outcome = here(tmp_path, *TINY, "hydra.run.dir=run")
    assert outcome.code == 1
    assert outcome.err.startswith("satae-train: how 1 of 1 runs ended is not known here, only in their directories")
    assert read(tmp_path / "run" / "run.json")["status"] == "finished"
    assert here(tmp_path, "--cfg", "job", "act=tanh").code == 0  # makes no run


def test_notes_survive_what_cleans_up(tmp_path):
    with ledger() as notes:
        notes.folder.rmdir()
        notes.add(Begun(tmp_path, None))
        assert notes.begun() == [Begun(tmp_path, None)]
