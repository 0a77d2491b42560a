"""A program that does one thing: what it says, and the code it ends with."""

import sys

import pytest

from satae.cli import small_program

FAULTS = {
    "an error of the system": (FileNotFoundError(2, "No such file or directory", "there"), "there: No such file"),
    "one without its words": (OSError("the other end has gone"), "OSError: the other end has gone"),
    "a fault": (ZeroDivisionError("division by zero\nmore"), "ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_goes_wrong_is_told_in_one_line(kind, monkeypatch, capsys):
    error, text = FAULTS[kind]

    def work(words):
        raise error

    monkeypatch.setattr(sys, "argv", ["satae-try", "word"])
    assert small_program.run("satae-try", "help", work, (KeyError,)) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"satae-try: {text}")
    assert told.count("\n") == 1
    assert "None" not in told


def test_what_is_refused_has_a_code_of_its_own(monkeypatch, capsys):
    def work(words):
        raise ValueError(f"{words[0]}: no such thing")

    monkeypatch.setattr(sys, "argv", ["satae-try", "word"])
    assert small_program.run("satae-try", "help", work, (ValueError,)) == 2
    assert capsys.readouterr().err == "satae-try: word: no such thing\n"
