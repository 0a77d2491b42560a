"""Attacks a classifier alone, behind the baseline and behind the autoencoder, and judges what the attacks show."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from torch import nn

from satae.config import ConfigError
from satae.config.option_types import Norm
from satae.evaluation.attack_runner import AttackRunner, AttackSettings
from satae.evaluation.baselines import Baseline, load_baseline
from satae.evaluation.classifiers import load_classifier
from satae.evaluation.part import ALONE, BASELINE, OWN, PIPELINE_TITLES, RADIUS_TITLE
from satae.evaluation.pipelines import Pipeline
from satae.evaluation.result import Cell, PartResult, ResultTable
from satae.evaluation.subject import Subject
from satae.messages import count_words
from satae.model.autoencoder import DenoisingAutoencoder, Encoder
from satae.plots.charts import Curve, Panel, draw_picture
from satae.plots.style import COLORS, MARKERS, Picture, draw_each
from satae.robustness import external_attacks
from satae.robustness.attack_suite import Budget
from satae.robustness.estimates import Estimate
from satae.robustness.masking_checks import Check, Evidence, Verdict, fewest_inputs, run_checks, verdict
from satae.robustness.norm_ball import vector_norm

if TYPE_CHECKING:
    from satae.evaluation.part import Track
    from satae.evaluation.parts.defence import Defence

VERDICT_COLUMNS: Final = ("victim", "verdict", "gradients", "level", "spread")
ACCURACY_COLUMNS: Final = ("victim", "epsilon", "accuracy", "low", "high", "n", "verdict")
ATTACK_COLUMNS: Final = ("victim", "epsilon", "attack", "kind", "tried", "broken", "left", "n")
CHECK_COLUMNS: Final = ("victim", "check", "outcome", "what", "found")
TRAINED_ON: Final = {
    "plain": "inputs",
    "on_reconstructions": "the reconstructions of inputs",
    "on_code": "the codes of inputs",
}
MAX_LABEL: Final = 9999
GREY_DISTANCE: Final = 0.5  # share of the range of the data: within it each value can become the middle of the range
WHERE_LABELS_ARE: Final = (
    "; those of digits, mnist, fashion_mnist, cifar10 and svhn have, data=array with data.labels, data=folder with a"
    " folder for each class, data=hf with data.label"
)


def measure_defence(subject: Subject, options: Defence, track: Track) -> PartResult:
    """The accuracy of a classifier under attack: alone, behind the unregularized baseline, and behind the autoencoder.

    Radii are fractions of the range of the data. The accuracy at a radius is that against the worst attack for each
    input. The verdict of ten checks stands beside it.

    Raises:
        ConfigError: a library cannot attack such a model, or a model cannot be trained or stored.
    """
    if fault := find_labels_fault(subject):
        has_none = subject.data.train.y is None and subject.y is None
        return PartResult([], {}, notes=[f"no defence: {fault}{WHERE_LABELS_ARE if has_none else ''}"])
    subject = subject.first(options.samples)
    budget = Budget(options.steps, options.restarts, options.queries)
    settings = AttackSettings(options.norm, budget, tuple(options.temperatures), libraries=_library_names(options))
    twin = load_baseline(subject) if subject.config.alpha > 0 else None
    pipelines = build_pipelines(subject, options.classifier, twin)
    try:
        runners = {
            name: AttackRunner(subject, pipeline, settings._replace(sources=_sources(name, pipelines)))
            for name, pipeline in pipelines.items()
        }
    except ValueError as error:
        raise ConfigError(f"defence.libraries={options.libraries}: {error}") from None
    largest = grey_radius(subject, options.norm)
    radii = sorted({*options.epsilons, largest})
    steps = [step for runner in runners.values() for radius in radii for step in runner.steps(radius)]
    if options.control:
        steps += [partial(runner.run_active_test, max(options.epsilons)) for runner in runners.values()]
    for step in track(steps):
        step()
    baseline = runners.get(BASELINE, runners[OWN])
    judged = {name: judge(runner, baseline, largest, options.epsilons) for name, runner in runners.items()}
    return PartResult(
        _tables(judged),
        _headline(judged),
        [
            *_model_notes(options.classifier, twin),
            *_notes(judged, subject.range_name),
            *_input_notes(subject, largest),
        ],
        curves={
            name: [(epsilon, accuracy.value) for epsilon, accuracy in one.accuracies.items()]
            for name, one in judged.items()
        },
        pictures=draw_each({"accuracy": lambda: _picture(judged, (0.0, *options.epsilons))}),
    )


def find_labels_fault(subject: Subject) -> str:
    """Why a classifier cannot learn the labels, or cannot be tried on them; empty if it can.

    It needs labels 0, 1, ..., and all of them in the training data.
    """
    if (why := subject.why_no_labels()) or subject.data.train.y is None:
        return why
    found, trained = subject.labels, subject.data.train.y
    most = int(trained.max())
    if min(int(trained.min()), int(found.min())) < 0 or most > MAX_LABEL or int(found.max()) > most:
        return (
            f"labels from {int(trained.min())} to {most} in training and from {int(found.min())} to"
            f" {int(found.max())} here; number them from 0 to {MAX_LABEL} at most, with all in training"
        )
    return ""


def find_too_few(inputs: int) -> str:
    """What to say if there are too few inputs for a masking check to pass; empty if there are enough."""
    needed = fewest_inputs()
    if inputs >= needed:
        return ""
    few = count_words(inputs, "input is", "inputs are")
    return f"{few} too few: a masking check needs {needed} to pass"


def check_libraries(options: Defence) -> None:
    """Refuse libraries that are not installed.

    Raises:
        ValueError: one is not.
    """
    try:
        for name in _library_names(options):
            external_attacks.import_library(external_attacks.MODULES[name])
    except ValueError as error:
        raise ValueError(f"libraries={options.libraries}: {error}") from None


def _library_names(options: Defence) -> list[str]:
    names = [*external_attacks.MODULES] if options.libraries == "all" else [options.libraries]
    return [name for name in names if name != "none"]


def grey_radius(subject: Subject, norm: Norm) -> float:
    """The radius, as a fraction of the range of the data, within which every input can become an even grey.

    It is larger than usual if some inputs lie outside the range.
    """
    within = GREY_DISTANCE if norm == "linf" else GREY_DISTANCE * math.sqrt(math.prod(subject.data.shape))
    middle = sum(subject.data.span) / 2
    return max(within, vector_norm(subject.x - middle, norm).max().item() / subject.range_width)


def build_pipelines(subject: Subject, trained_on: str, twin: Baseline | None) -> dict[str, Pipeline]:
    """The pipelines to attack, by name.

    Args:
        subject: subject with labels.
        trained_on: one of ``TRAINED_ON``; the classifier alone is always trained on inputs.
        twin: the baseline of the run; None for a run without a penalty, which is its own.

    Raises:
        ConfigError: a classifier cannot be stored.
    """
    device, seed = subject.x.device, subject.config.seed
    alone = load_classifier(subject.data, seed).to(device)

    def behind(autoencoder: DenoisingAutoencoder) -> list[nn.Module]:
        if trained_on == "plain":
            return [autoencoder, alone]
        features = Encoder(autoencoder) if trained_on == "on_code" else autoencoder
        return [features, load_classifier(subject.data, seed, features).to(device)]

    modules: dict[str, list[nn.Module]] = {ALONE: [alone]}
    if twin is not None:
        modules[BASELINE] = behind(twin.model)
    modules[OWN] = behind(subject.model)
    return {name: Pipeline.of(*chain) for name, chain in modules.items()}


def _sources(name: str, pipelines: Mapping[str, Pipeline]) -> dict[str, Pipeline]:
    """The models whose adversarial examples are tried.

    The baseline takes them from the classifier alone, so that its outcomes hold for all runs with the same baseline.
    """
    choices = {ALONE: [BASELINE if BASELINE in pipelines else OWN], BASELINE: [ALONE], OWN: [BASELINE, ALONE]}
    return {source: pipelines[source] for source in choices[name] if source in pipelines}


# The verdict


class JudgedModel(NamedTuple):
    """A pipeline after all attacks, with its verdict."""

    runner: AttackRunner
    accuracies: dict[float, Estimate]  # by radius, against the worst attack for each input; at 0 without an attack
    checks: Sequence[Check]
    verdict: Verdict


def judge(runner: AttackRunner, baseline: AttackRunner, grey_radius: float, epsilons: Sequence[float]) -> JudgedModel:
    """Check the outcomes of a pipeline.

    Args:
        runner: the pipeline, attacked at every radius.
        baseline: its baseline, attacked likewise; the pipeline itself if it has no penalty.
        grey_radius: radius at which every input can become an even grey.
        epsilons: radii at which independent attacks are compared.
    """
    outcomes = runner.outcomes
    evidence = Evidence(
        outcomes,
        runner.chance,
        runner.no_gradient,
        runner.is_constant,
        grey_radius=grey_radius,
        baseline=baseline.outcomes,
        planted=runner.planted,
    )
    accuracies = {epsilon: outcomes.at(epsilon).accuracy for epsilon in (0.0, *outcomes.epsilons)}
    checks = run_checks(evidence)
    return JudgedModel(runner, accuracies, checks, verdict(evidence, checks, epsilons))


def _tables(judged: Mapping[str, JudgedModel]) -> list[ResultTable]:
    """The accuracies, the verdicts, the attacks one by one, and the checks."""
    accuracies: list[list[Cell]] = [
        [name, epsilon, *accuracy, one.verdict.word]
        for name, one in judged.items()
        for epsilon, accuracy in one.accuracies.items()
    ]
    verdicts: list[list[Cell]] = [[name, one.verdict.word, *one.verdict] for name, one in judged.items()]
    attacks = [row for name, one in judged.items() for row in _attack_rows(name, one.runner)]
    checks: dict[str, list[list[Cell]]] = {
        name: [[name, check.number, check.outcome, check.title, check.figure] for check in one.checks]
        for name, one in judged.items()
    }
    others = [row for name, rows in checks.items() if name != OWN for row in rows]
    return [
        ResultTable("defence", ACCURACY_COLUMNS, accuracies, ACCURACY_COLUMNS),
        ResultTable("verdicts", VERDICT_COLUMNS, verdicts, VERDICT_COLUMNS),
        ResultTable("attacks", ATTACK_COLUMNS, attacks, ()),
        ResultTable("checks", CHECK_COLUMNS, checks[OWN], CHECK_COLUMNS[1:]),
        ResultTable("checks of the others", CHECK_COLUMNS, others, ()),
    ]


def _attack_rows(name: str, runner: AttackRunner) -> list[list[Cell]]:
    """The attacks in their order: on how many inputs each was run, how many it broke, and the accuracy after it."""
    rows = list[list[Cell]]()
    for epsilon in runner.outcomes.epsilons:
        left = runner.correct
        for result in runner.outcomes.at(epsilon).results:
            broken, left = runner.correct & ~result.robust, left & result.robust
            counts = runner.tried[result.attack.name, epsilon], int(broken.sum()), left.float().mean().item(), len(left)
            rows.append([name, epsilon, result.attack.name, result.attack.kind, *counts])
    return rows


def _headline(judged: Mapping[str, JudgedModel]) -> dict[str, Cell]:
    """The accuracy and the verdict at the radius that leaves about half of the baseline's clean accuracy."""
    own, baseline = judged[OWN].accuracies, judged.get(BASELINE, judged[OWN]).accuracies
    epsilon = min([*own][1:], key=lambda epsilon: abs(baseline[epsilon].value - baseline[0.0].value / 2))
    headline: dict[str, Cell] = {
        "epsilon": epsilon,
        "robust accuracy": own[epsilon].value,
        "verdict": judged[OWN].verdict.word,
    }
    if BASELINE in judged:
        headline |= {"of its twin": baseline[epsilon].value, "its verdict": judged[BASELINE].verdict.word}
    return headline


def _picture(judged: Mapping[str, JudgedModel], epsilons: Collection[float]) -> Picture:
    """The accuracies of all models at some radii, with their intervals and verdicts."""
    curves = []
    for (name, one), color, marker in zip(judged.items(), COLORS, MARKERS, strict=False):
        found = {epsilon: accuracy for epsilon, accuracy in one.accuracies.items() if epsilon in epsilons}
        values = [accuracy.value for accuracy in found.values()]
        down = [max(0.0, accuracy.value - accuracy.low) for accuracy in found.values()]
        up = [max(0.0, accuracy.high - accuracy.value) for accuracy in found.values()]
        label = f"{PIPELINE_TITLES[name]}: {one.verdict.word}"
        curves.append(Curve([*found], values, label, color, marker=marker, marker_size=4, y_bars=(down, up)))
    title = f"worst case over all attacks, of {len(judged[OWN].runner.correct)} inputs"
    labels = RADIUS_TITLE, "accuracy, with 95 % intervals"
    return draw_picture([Panel(curves, *labels, title, y_possible=(0.0, 1.0), shows_all_possible=True)], 1)


def _model_notes(trained_on: str, twin: Baseline | None) -> Iterator[str]:
    """What each model is."""
    chain = "classifier(code(x))" if trained_on == "on_code" else "classifier(autoencoder(x))"
    yield f"{ALONE}: the classifier alone, trained on clean inputs with the seed of the run"
    if twin is not None:
        yield f"{BASELINE}: {chain}, its autoencoder: {twin.origin}"
    yield f"{OWN}: {chain}"
    if trained_on != "plain":
        yield f"the classifiers of {OWN} and {BASELINE} are trained on {TRAINED_ON[trained_on]}, each on its own"


def _notes(judged: Mapping[str, JudgedModel], range_name: str) -> list[str]:
    """What the words in the tables mean, and the verdict with its reasons."""
    own = judged[OWN]
    numbers = {
        outcome: [str(check.number) for check in own.checks if check.outcome == outcome]
        for outcome in ("failed", "open")
    }
    found = [
        f"{count_words(len(some), 'check')} {outcome}: {', '.join(some)}" for outcome, some in numbers.items() if some
    ]
    return [
        f"accuracy: against the worst attack for each example; epsilon: a share of the {range_name}",
        "spread: the most that one kind of attack leaves above the accuracy under all attacks",
        "checks 3, 5, 6, 7 and 8: the share of the examples at the epsilon where it is largest",
        f"verdict: {own.verdict.word}; gradients {own.verdict.gradients}, level {own.verdict.level}"
        f"{''.join(f'; {one}' for one in found)}",
    ]


def _input_notes(subject: Subject, grey_radius: float) -> Iterator[str]:
    if fault := find_too_few(len(subject.x)):
        yield fault
    why = "within it every input can become an even grey, so accuracy must fall to chance"
    yield f"epsilon {grey_radius:g} is added: {why}"
    present, known = len(subject.labels.unique()), len(subject.data.train.y.unique())  # type: ignore[union-attr]
    if present < known:  # few inputs, or a file in the order of its labels
        yield f"only {present} of {known} classes are among the inputs"
