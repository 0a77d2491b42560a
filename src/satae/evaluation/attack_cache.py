"""A cache of what attacks came to, input by input, so that an interrupted evaluation resumes where it stopped."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from satae import atomic_write


class AttackCache:
    """A file with the outcomes of all attacks on one model; it grows by a line for each batch that was attacked.

    An outcome holds for every run that attacks this model on this input. So the classifier and the baseline are
    attacked once for a whole sweep, and an evaluation with more samples attacks only the new ones.
    """

    def __init__(self, file: Path) -> None:
        """Read the file, if it exists. A damaged or incomplete line is skipped.

        Raises:
            OSError: it cannot be read.
        """
        self.file = file
        self._fooled: defaultdict[str, dict[str, bool]] = defaultdict(dict)
        for line in file.read_bytes().splitlines() if file.exists() else ():
            self._read_line(line)

    def look_up(self, attack: str, examples: Iterable[str]) -> dict[str, bool]:
        """Whether an attack fooled the model, for those of the examples that it was run on.

        Args:
            attack: names the attack and everything that its outcome depends on.
            examples: unique names of inputs.
        """
        known = self._fooled[attack]
        return {example: known[example] for example in examples if example in known}

    def add(self, attack: str, examples: Sequence[str], fooled: Sequence[bool]) -> None:
        """Append the outcomes of one batch to the file.

        Raises:
            OSError: it cannot be written.
        """
        entry = {"attack": attack, "examples": list(examples), "fooled": "".join("01"[broken] for broken in fooled)}
        atomic_write.make_folder(self.file.parent)
        atomic_write.append(self.file, f"\n{json.dumps(entry)}\n".encode())  # the first newline ends a torn line
        self._fooled[attack].update(zip(examples, fooled, strict=True))

    def _read_line(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            attack, examples, fooled = entry["attack"], entry["examples"], entry["fooled"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if not (isinstance(attack, str) and isinstance(fooled, str) and isinstance(examples, list)):
            return
        is_whole = len(examples) == len(fooled) and all(type(name) is str for name in examples)
        if is_whole and {*fooled} <= {*"01"}:
            self._fooled[attack].update(zip(examples, (mark == "1" for mark in fooled), strict=True))
