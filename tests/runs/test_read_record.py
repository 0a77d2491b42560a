"""run.json, read back whatever it holds."""

import pytest

from satae.config import ConfigError
from satae.runs.record import read_record

BROKEN = [
    *["", "{", "[]", "{}", "null", "[" * 100_000, "{not json", '{"status": "finished", "overrides": 1}'],
    '{"status": "finished", "command": "", "overrides": [1]}',
    '{"status": "finished", "command": "", "overrides": [], "wall_s": []}',
    '{"status": "finished", "command": "", "overrides": [], "resumed": 5}',
    '{"status": "finished", "command": "", "overrides": [], "started": 5}',
    '{"status": "finished", "command": "", "overrides": [], "wall_s": NaN}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_file_that_is_not_a_record_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run\.json"):
        read_record(tmp_path)
