import subprocess
import sys
from pathlib import Path

from satae.command.ledger import Ledger, Place, ledger


def test_notes_of_every_process_are_found_and_none_is_left_behind(tmp_path):
    places = [Place(tmp_path / "sweep" / "é 0", tmp_path / "sweep"), Place(tmp_path / "run", None)]
    code = (
        "import sys; from pathlib import Path; from satae.command.ledger import Ledger, Place\n"
        "Ledger(Path(sys.argv[1])).add(Place(Path(sys.argv[2]), None))"
    )
    with ledger() as notes:
        assert notes.places() == []
        notes.add(places[0])
        subprocess.run([sys.executable, "-c", code, str(notes.folder), str(places[1].directory)], check=True)
        assert sorted(notes.places()) == sorted(places, key=lambda place: place.directory)
        assert Ledger(Path(notes.folder)).places() == notes.places()
    assert not notes.folder.exists()
