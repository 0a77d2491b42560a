"""What is kept of attacks, so that an evaluation which is cut off goes on."""

import pytest

from satae.evaluation.attack_runner import AttackCache


def test_stored_outcomes_are_read_back(tmp_path):
    file = tmp_path / "deep" / "attacks.jsonl"
    cache = AttackCache(file)
    cache.add("pgd 0.1", [*"db"], [True, False])
    cache.add("pgd 0.2", [*"d"], [True])
    for one in (cache, AttackCache(file)):
        assert one.look_up("pgd 0.1", "abd") == {"b": False, "d": True}
        assert one.look_up("pgd 0.2", "abd") == {"d": True}
        assert one.look_up("fgsm", "d") == {}


def test_a_line_cut_off_anywhere_loses_no_other_line(tmp_path):
    file = tmp_path / "attacks.jsonl"
    AttackCache(file).add("pgd", [*"ab"], [True, False])
    first = file.read_bytes()
    AttackCache(file).add("pgd", [*"cd"], [True, False])
    whole = file.read_bytes()
    for end in range(len(first), len(whole)):
        file.write_bytes(whole[:end])
        cache = AttackCache(file)
        known = cache.look_up("pgd", "abcde")
        assert known in ({"a": True, "b": False}, {"a": True, "b": False, "c": True, "d": False})
        cache.add("pgd", ["e"], [True])
        assert AttackCache(file).look_up("pgd", "abcde") == known | {"e": True}


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
def test_a_line_without_outcomes_is_skipped(tmp_path, line):
    file = tmp_path / "attacks.jsonl"
    AttackCache(file).add("pgd", ["a"], [True])
    with file.open("ab") as more:
        more.write(line + b"\n")
    assert AttackCache(file).look_up("pgd", "abcde") == {"a": True}
