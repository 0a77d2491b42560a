"""What attacks have come to so far, by example: an evaluation that is cut off goes on from there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from satae import atomic_write as files


class Memory:
    """A file that grows by a line for each batch that was attacked.

    What is known of a model and an input holds for every run that attacks that model on that input: the classifier and
    the twin are attacked once for a whole sweep, and with more samples the new ones alone.
    """

    def __init__(self, file: Path) -> None:
        """Take up what is there.

        Args:
            file: need not be there; a line in it that is not whole, or that says nothing, is as if it were not.

        Raises:
            OSError: it cannot be read.
        """
        self.file = file
        self._known: defaultdict[str, dict[str, bool]] = defaultdict(dict)
        for line in file.read_bytes().splitlines() if file.exists() else ():
            self._take(line)

    def known(self, attack: str, examples: Iterable[str]) -> dict[str, bool]:
        """Whether an attack fooled the model, for those of the examples that it was made on.

        Args:
            attack: with all that its outcome follows from.
            examples: names that no two of them share.
        """
        found = self._known[attack]
        return {example: found[example] for example in examples if example in found}

    def keep(self, attack: str, examples: Sequence[str], fooled: Sequence[bool]) -> None:
        """Write down what came of a batch.

        Raises:
            OSError: it cannot be written.
        """
        entry = {"attack": attack, "examples": list(examples), "fooled": "".join("01"[broken] for broken in fooled)}
        files.make_folder(self.file.parent)
        files.append(self.file, f"\n{json.dumps(entry)}\n".encode())  # ends a line that was cut off
        self._known[attack].update(zip(examples, fooled, strict=True))

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            attack, examples, fooled = entry["attack"], entry["examples"], entry["fooled"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if not (isinstance(attack, str) and isinstance(fooled, str) and isinstance(examples, list)):
            return
        is_whole = len(examples) == len(fooled) and all(type(name) is str for name in examples)
        if is_whole and {*fooled} <= {*"01"}:
            self._known[attack].update(zip(examples, (mark == "1" for mark in fooled), strict=True))
