"""Runs the whole attack suite on one model, each attack on the inputs that earlier attacks left unbroken.

Outcomes are stored input by input, so that an interrupted evaluation resumes where it stopped.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from satae import atomic_write
from satae.config import plugins
from satae.config.option_types import Norm
from satae.data.local_files import cache_folder
from satae.evaluation.pipelines import Pipeline
from satae.evaluation.stored_models import CACHE_FOLDER
from satae.evaluation.subject import Subject, sha256
from satae.robustness import external_attacks
from satae.robustness.active_test import PlantedOutcome, active_test
from satae.robustness.attack_losses import has_no_gradient
from satae.robustness.attack_suite import Attack, Budget, attack_suite, planted_point_attacks
from satae.robustness.masking_checks import AttackOutcome, AttackOutcomes, is_constant
from satae.robustness.norm_ball import RandomStreams
from satae.runs import provenance


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
            try:
                entry = json.loads(line)
                attack, inputs, fooled = entry["attack"], entry["examples"], entry["fooled"]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            has_types = isinstance(attack, str) and isinstance(fooled, str) and isinstance(inputs, list)
            is_whole = has_types and len(inputs) == len(fooled) and all(type(name) is str for name in inputs)
            if is_whole and {*fooled} <= {*"01"}:
                self._fooled[attack].update(zip(inputs, (mark == "1" for mark in fooled), strict=True))

    def look_up(self, attack: str, inputs: Iterable[str]) -> dict[str, bool]:
        """Whether an attack fooled the model, for those of the inputs that it was run on.

        Args:
            attack: names the attack and everything that its outcome depends on.
            inputs: their unique names.
        """
        known = self._fooled[attack]
        return {name: known[name] for name in inputs if name in known}

    def add(self, attack: str, inputs: Sequence[str], fooled: Sequence[bool]) -> None:
        """Append the outcomes of one batch to the file.

        Raises:
            OSError: it cannot be written.
        """
        entry = {"attack": attack, "examples": list(inputs), "fooled": "".join("01"[broken] for broken in fooled)}
        atomic_write.make_folder(self.file.parent)
        atomic_write.append(self.file, f"\n{json.dumps(entry)}\n".encode())  # the first newline ends a torn line
        self._fooled[attack].update(zip(inputs, fooled, strict=True))


class AttackSettings(NamedTuple):
    """Which attacks are run, and how long."""

    norm: Norm
    budget: Budget
    temperatures: tuple[float, ...]  # of the surrogate gradients
    sources: Mapping[str, Pipeline] = {}  # models whose adversarial examples are tried
    libraries: Sequence[str] = ()  # libraries whose attacks are run, too


class AttackRunner:
    """Attacks one pipeline and collects the outcomes.

    Attributes:
        correct: (n,), booleans: the inputs that are classified correctly without an attack.
        no_gradient: (n,), booleans: the inputs whose gradient is zero or not finite.
        is_constant: whether the logits are the same for all inputs and for random points in the range of the data.
        chance: accuracy of the best constant answer.
        planted: which planted points the attacks found; None before the active test.
        tried: the number of inputs that an attack was run on, by its name and radius.
    """

    def __init__(self, subject: Subject, pipeline: Pipeline, settings: AttackSettings) -> None:
        """Classify the inputs without an attack, and build the suite.

        Args:
            subject: subject with labels, whose inputs are perturbed.
            pipeline: model to attack.
            settings: attacks to run.

        Raises:
            ValueError: a library cannot attack such a model.
        """
        self.subject, self.pipeline, self.settings = subject, pipeline, settings
        model, y = pipeline.model, subject.labels
        self._numbers = torch.arange(len(y), device=y.device)
        logits = subject.map_batches(model, subject.x)
        self.no_gradient = subject.map_batches(lambda x, y: has_no_gradient(model, x, y), subject.x, y)
        streams = RandomStreams.for_examples(subject.seed, self._numbers)
        anywhere = subject.norm_ball("linf", 1.0).around(subject.x).random_start(streams, 0)
        answers = torch.cat([logits, subject.map_batches(model, anywhere)])
        self.correct = (logits.argmax(dim=1) == y) & logits.isfinite().all(dim=1)
        self.is_constant = is_constant(answers)
        self._spread = logits.std(dim=0, correction=0)
        self.planted: PlantedOutcome | None = None
        self.chance = y.bincount().max().item() / len(y)
        self.attacks = attack_suite(
            model,
            logits.shape[1],
            settings.budget,
            sources={name: source.model for name, source in settings.sources.items()},
            temperatures=settings.temperatures,
            libraries=settings.libraries,
            seed=subject.seed,
        )
        self._source_fingerprints = [source.fingerprint() for source in settings.sources.values()]
        self._results: list[AttackOutcome] = []
        self.tried: dict[tuple[str, float], int] = {}
        self._names = [sha256({"x": x, "y": y}, str(i))[:16] for i, (x, y) in enumerate(zip(subject.x, y, strict=True))]
        self._cache = AttackCache(cache_folder() / CACHE_FOLDER / f"attacks-{pipeline.fingerprint()[:20]}.jsonl")

    @property
    def outcomes(self) -> AttackOutcomes:
        """The outcomes of all attacks that have been run."""
        return AttackOutcomes(self.correct, self._results)

    def steps(self, epsilon: float) -> list[Callable[[], None]]:
        """The attacks at one radius in their order, each to be called; what the cache knows is not attacked again."""
        return [functools.partial(self._run_attack, attack, epsilon) for attack in self.attacks]

    def run_active_test(self, epsilon: float) -> None:
        """Plant points near the inputs, and let attacks search for them; what the cache knows is not repeated."""
        ball, temperatures = self.subject.norm_ball(self.settings.norm, epsilon), self.settings.temperatures
        attacks = planted_point_attacks(self.pipeline.model, self.settings.budget, temperatures)
        depends_on = f"{self._key(attacks[0], epsilon)} {temperatures} {sha256({'spread': self._spread})[:16]}"
        keys = [f"{depends_on} {part}" for part in ("planted", "by exact", "by any")]

        def search(x: Tensor, numbers: Tensor) -> Tensor:
            names = [self._names[number] for number in numbers.tolist()]
            known = [self._cache.look_up(key, names) for key in keys]
            if all(len(of_part) == len({*names}) for of_part in known):
                return torch.tensor([[of_part[name] for of_part in known] for name in names], device=x.device)
            streams = RandomStreams.for_examples(self.subject.seed, numbers)
            found = active_test(self.pipeline.model, x, ball, streams, attacks, temperatures, self._spread)
            for key, fooled in zip(keys, found.t(), strict=True):
                self._cache.add(key, names, fooled.tolist())
            return found

        planted, by_exact, by_any = self.subject.map_batches(search, self.subject.x, self._numbers).t()
        self.planted = PlantedOutcome(by_exact[planted], by_any[planted], epsilon)

    def _run_attack(self, attack: Attack, epsilon: float) -> None:
        fooled = ~self.correct
        todo = self.outcomes.left_for(attack, epsilon)
        self.tried[attack.name, epsilon] = int(todo.sum())
        key, chosen = self._key(attack, epsilon), self._numbers[todo].tolist()
        known = self._cache.look_up(key, [self._names[number] for number in chosen])
        for number in chosen:
            if (broken := known.get(self._names[number])) is not None:
                fooled[number], todo[number] = broken, False
        if todo.any():
            fooled[todo] = self.run_on(attack, epsilon, self._numbers[todo], key)
        self._results.append(AttackOutcome(attack, epsilon, ~fooled))

    def run_on(self, attack: Attack, epsilon: float, numbers: Tensor, cache_key: str) -> Tensor:
        """Which of the inputs with these numbers an attack fools; the outcomes are stored under the key."""
        ball = self.subject.norm_ball(self.settings.norm, epsilon)

        def on_batch(x: Tensor, y: Tensor, numbers: Tensor) -> Tensor:
            fooled = attack.run(x, y, ball, RandomStreams.for_examples(self.subject.seed, numbers)).fooled
            self._cache.add(cache_key, [self._names[number] for number in numbers.tolist()], fooled.tolist())
            return fooled

        return self.subject.map_batches(on_batch, self.subject.x[numbers], self.subject.labels[numbers], numbers)

    def _key(self, attack: Attack, epsilon: float) -> str:
        """Everything that the outcome of an attack depends on, besides the pipeline and the input."""
        ball = self.subject.norm_ball(self.settings.norm, epsilon)
        key = [attack.name, *self.settings.budget, *ball, self.subject.seed]
        key += [self.subject.x.device.type, *provenance.program_version().values()]
        key += plugins.digests(self.subject.config.choices).values()
        if attack.kind == "transfer":
            key += self._source_fingerprints
        if attack.kind == "library":
            key += external_attacks.versions(self.settings.libraries)
        return " ".join(map(str, key))
