"""What is kept of attacks, so that an evaluation which is cut off goes on."""

import pytest

from satae.evaluation.memory import Memory


def test_what_is_kept_is_known_again(tmp_path):
    file = tmp_path / "deep" / "attacks.jsonl"
    memory = Memory(file)
    memory.keep("pgd 0.1", [*"db"], [True, False])
    memory.keep("pgd 0.2", [*"d"], [True])
    for one in (memory, Memory(file)):
        assert one.known("pgd 0.1", "abd") == {"b": False, "d": True}
        assert one.known("pgd 0.2", "abd") == {"d": True}
        assert one.known("fgsm", "d") == {}


def test_nothing_is_lost_where_a_line_was_cut_off_anywhere(tmp_path):
    file = tmp_path / "attacks.jsonl"
    Memory(file).keep("pgd", [*"ab"], [True, False])
    first = file.read_bytes()
    Memory(file).keep("pgd", [*"cd"], [True, False])
    whole = file.read_bytes()
    for end in range(len(first), len(whole)):
        file.write_bytes(whole[:end])
        memory = Memory(file)
        known = memory.known("pgd", "abcde")
        assert known in ({"a": True, "b": False}, {"a": True, "b": False, "c": True, "d": False})
        memory.keep("pgd", ["e"], [True])
        assert Memory(file).known("pgd", "abcde") == known | {"e": True}


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"7",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"attack": "pgd", "examples": ["b", "c"], "fooled": "0"}',
        b'{"attack": "pgd", "examples": ["b"], "fooled": "x"}',
        b'{"attack": "pgd", "examples": [1.5], "fooled": "1"}',
        b'{"attack": "pgd", "examples": [true], "fooled": "1"}',
        b'{"attack": "pgd", "examples": "b", "fooled": "1"}',
        b'{"attack": "pgd", "examples": ["b"], "fooled": [1]}',
        b'{"attack": ["pgd"], "examples": ["b"], "fooled": "1"}',
        b'{"examples": ["b"], "fooled": "1"}',
    ],
    ids=lambda line: line.decode("latin-1")[:60],
)
def test_a_line_that_says_nothing_is_as_if_it_were_not(tmp_path, line):
    file = tmp_path / "attacks.jsonl"
    Memory(file).keep("pgd", ["a"], [True])
    with file.open("ab") as more:
        more.write(line + b"\n")
    assert Memory(file).known("pgd", "abcde") == {"a": True}
