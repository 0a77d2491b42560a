"""A classifier behind an autoencoder under attack, and what is said of it."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from evaluated import PROGRAM, QUICK, table, trained, typed
from hidden_gradients import Faded, hide_gradients
from program import read

from satae import evaluate
from satae.config import ConfigError
from satae.data.dataset import Split
from satae.data.local_files import cache_folder
from satae.evaluation import attack_runner, classifiers
from satae.evaluation.attack_runner import AttackRunner, AttackSettings
from satae.evaluation.baselines import load_baseline
from satae.evaluation.parts import defence_measure
from satae.evaluation.parts.defence_measure import grey_radius
from satae.evaluation.pipelines import Pipeline
from satae.evaluation.runner import build_part
from satae.evaluation.subject import Subject, TrainedRun
from satae.robustness.attack_suite import Budget
from satae.runs import provenance
from satae.signals import Interrupted

SMALL = (
    *("evaluation=defence", "defence.samples=40", "defence.epsilons=[0.1]", "defence.steps=5", "defence.restarts=1"),
    *("defence.queries=10", "defence.temperatures=[10]", "threads=1"),
)
pytestmark = pytest.mark.usefixtures("blank_pictures")
UNCONTROLLED = (*SMALL, "defence.control=false")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(classifiers, "RECIPE", classifiers.RECIPE._replace(steps=60))


@pytest.fixture(scope="module")
def saturated(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits"), "act=sigmoid", "alpha=0.1", "data.limit=300")


@pytest.fixture
def run(saturated, tmp_path):
    return shutil.copytree(saturated, tmp_path / "run")


def told(run):
    """The tables of what was found, by name, each row as a dictionary."""
    tables = read(run / "evaluation" / "defence.json")["tables"]
    return {one["name"]: [dict(zip(one["columns"], row, strict=True)) for row in one["rows"]] for one in tables}


def test_every_accuracy_has_a_radius_a_number_and_a_verdict(run):
    outcome = typed(run, "run=.", *SMALL)
    assert (outcome.code, outcome.err) == (0, "")
    rows = table(outcome.out, "victim")
    assert [(row["victim"], row["epsilon"]) for row in rows] == [
        (victim, epsilon) for victim in ("alone", "twin", "own") for epsilon in ("0", "0.1", "0.5")
    ]
    assert {row["n"] for row in rows} == {"40"}
    assert {row["verdict"] for row in rows} <= {"holds", "masked", "inconclusive"}
    found = told(run)
    assert len([row for row in found["checks"] if row["victim"] == "own"]) == 10
    checks = table(outcome.out, "check")
    assert [*checks[0]] == ["check", "outcome", "what", "found"]
    assert [row["check"] for row in checks] == [str(number) for number in range(1, 11)]
    assert {row["outcome"] for row in checks} <= {"passed", "failed", "open"}
    for row in found["defence"]:
        assert row["low"] <= row["accuracy"] <= row["high"]
    (verdict,) = [row for row in found["verdicts"] if row["victim"] == "own"]
    assert {row["verdict"] for row in found["defence"] if row["victim"] == "own"} == {verdict["verdict"]}
    said = "verdict: {verdict}; gradients {gradients}, level {level}".format(**verdict)
    assert said in outcome.out
    assert (run / "evaluation" / "defence_accuracy.png").is_file()


def test_the_accuracy_counts_inputs_that_no_attack_breaks(run):
    typed(run, "run=.", *UNCONTROLLED)
    found = told(run)
    for row in found["defence"]:
        if row["epsilon"]:
            of_row = [
                one for one in found["attacks"] if (one["victim"], one["epsilon"]) == (row["victim"], row["epsilon"])
            ]
            left = [one["left"] for one in of_row]
            assert left == sorted(left, reverse=True)
            assert left[-1] == pytest.approx(row["accuracy"], abs=1e-6)
            assert all(one["broken"] <= one["tried"] for one in of_row)
            assert {one["attack"] for one in of_row} >= {"fgsm", "pgd-ce", "apgd-ce", "square", "surrogate-pgd-T=10"}


def test_classifiers_of_reconstructions_and_of_codes_are_attacked_behind_each_autoencoder(run):
    seen = {}
    for classifier in ("plain", "on_reconstructions", "on_code"):
        outcome = typed(run, "run=.", *UNCONTROLLED, f"defence.classifier={classifier}")
        chain = "classifier(code(x))" if classifier == "on_code" else "classifier(autoencoder(x))"
        assert (outcome.code, f"own: {chain}\n" in outcome.out) == (0, True)
        assert ("each on its own" in outcome.out) == (classifier != "plain")
        seen[classifier] = {row["victim"]: row["accuracy"] for row in told(run)["defence"] if row["epsilon"] == 0}
        shutil.rmtree(run / "evaluation")
    assert len({found["alone"] for found in seen.values()}) == 1
    assert len({tuple(found.values()) for found in seen.values()}) == 3


@pytest.mark.parametrize("trained_on", defence_measure.TRAINED_ON)
def test_each_classifier_is_trained_on_the_features_that_stand_before_it(run, monkeypatch, trained_on):
    made = {}

    def load(data, seed, features=None):
        size = data.shape if features is None else features(data.batch(data.train.x[:1])).shape[1:]
        classifier = classifiers.plain_classifier(tuple(size), 10)
        made[classifier] = features
        return classifier

    monkeypatch.setattr(defence_measure, "load_classifier", load)
    subject = Subject.of(TrainedRun.read(run, False), evaluate.settings(["samples=3", "device=cpu"]))
    pipelines = defence_measure.build_pipelines(subject, trained_on, load_baseline(subject))
    own, twin = (pipelines[name].original for name in ("own", "twin"))
    assert made.pop(pipelines["alone"].original[-1]) is None
    autoencoders = {name: getattr(model[0], "autoencoder", model[0]) for name, model in (("own", own), ("twin", twin))}
    assert autoencoders["own"] is subject.model
    assert autoencoders["twin"] is not subject.model
    assert made == ({} if trained_on == "plain" else {model[-1]: model[0] for model in (own, twin)})


def test_an_unknown_classifier_is_refused(run):
    outcome = typed(run, "run=.", *SMALL, "defence.classifier=linear")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "defence.classifier=linear" in outcome.err
    assert "on_code" in outcome.err


def test_a_run_without_a_penalty_is_its_own_baseline(tmp_path):
    run = trained(tmp_path, "alpha=0", "data.limit=300")
    rows = table(typed(run, "run=.", *UNCONTROLLED).out, "victim")
    assert [row["victim"] for row in rows] == ["alone"] * 3 + ["own"] * 3


def test_data_without_labels_have_no_defence(tmp_path):
    run = trained(tmp_path, tiny=("data=manifold", "data.count=100", "epochs=1", "arch.widths=[4,2]", "threads=1"))
    outcome = typed(run, "run=.", *SMALL)
    assert outcome.code == 2
    told = "no defence: the data have no labels; those of digits, mnist,"
    assert outcome.err.startswith(f"satae-eval: evaluation=defence: {told}")
    assert not (run / "evaluation" / "defence.json").exists()
    for _ in range(2):  # of all parts it is left out, and that is kept
        outcome = typed(run, "run=.", *QUICK, "evaluation=all")
        assert outcome.code == 0
        assert f"note: {told}" in outcome.out
    assert typed(run, "run=.", *QUICK, "evaluation=defence").code == 2


def test_an_interrupted_evaluation_attacks_nothing_twice_and_ends_the_same(run, tmp_path, monkeypatch):
    once = shutil.copytree(run, tmp_path / "once")
    made, cut_off = [], 30
    was = AttackRunner.run_on

    def counted(self, attack, epsilon, examples, cache_key):
        if len(made) == cut_off:
            raise Interrupted(signal.SIGTERM)
        made.append((self.pipeline.fingerprint(), attack.name, epsilon))
        return was(self, attack, epsilon, examples, cache_key)

    monkeypatch.setattr(AttackRunner, "run_on", counted)
    outcome = typed(run, "run=.", *UNCONTROLLED)
    assert outcome.code == 143
    assert "type the same line again to resume" in outcome.err
    assert len(made) == 30
    before, cut_off = [*made], None
    made.clear()
    typed(run, "run=.", *UNCONTROLLED)
    assert not {*before} & {*made}
    in_two = told(run)
    monkeypatch.setenv("SATAE_DATA_DIR", str(tmp_path / "other"))
    typed(once, "run=.", *UNCONTROLLED)
    assert told(once) == in_two
    made.clear()
    shutil.rmtree(once / "evaluation")
    typed(once, "run=.", *UNCONTROLLED)
    assert not made  # all of it was known


def test_more_samples_attack_only_the_new_inputs(run, monkeypatch):
    made = []
    was = AttackRunner.run_on

    def counted(self, attack, epsilon, examples, cache_key):
        if {*self.settings.sources} == {"twin", "alone"} and attack.name == "fgsm":  # on own
            made.append(len(examples))
        return was(self, attack, epsilon, examples, cache_key)

    monkeypatch.setattr(AttackRunner, "run_on", counted)
    words = (*UNCONTROLLED, "defence.epsilons=[0.5]")
    for count in (20, 40):
        typed(run, "run=.", *words, f"defence.samples={count}")
    in_two = told(run)["defence"]
    assert len(made) == 2
    assert sum(made) == next(row["tried"] for row in told(run)["attacks"] if row["victim"] == "own")
    monkeypatch.setenv("SATAE_DATA_DIR", str(run / "other"))
    shutil.rmtree(run / "evaluation")
    typed(run, "run=.", *words)
    assert told(run)["defence"] == in_two


@pytest.mark.slow
def test_a_killed_sweep_resumes_to_the_same_table(run, tmp_path):
    words = (*SMALL, "defence.steps=20", "defence.queries=200")
    whole = shutil.copytree(run, tmp_path / "whole")

    def program(folder, home):
        environment = {**os.environ, "SATAE_DATA_DIR": str(tmp_path / home), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen([PROGRAM, "run=.", *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL)

    assert program(whole, "a").wait(300) == 0
    cut_off = program(run, "b")
    began = time.monotonic()
    while not [*(tmp_path / "b" / "evaluation").glob("attacks-*.jsonl")] and time.monotonic() < began + 120:
        time.sleep(0.02)
    time.sleep(0.3)
    cut_off.send_signal(signal.SIGKILL)
    assert cut_off.wait(60) == -signal.SIGKILL
    assert not (run / "evaluation" / "defence.json").exists()
    assert program(run, "b").wait(300) == 0
    assert told(run) == told(whole)


def test_the_settings_reach_the_attacks(run, monkeypatch):
    seen = []
    was = attack_runner.attack_suite

    def watched(victim, classes, budget, **more):
        seen.append((budget, more.get("temperatures")))
        return was(victim, classes, budget, **more)

    monkeypatch.setattr(attack_runner, "attack_suite", watched)
    typed(run, "run=.", *UNCONTROLLED, "defence.norm=l2", "defence.epsilons=[0.5,1]", "seed=3")
    assert {*seen} == {(Budget(5, 1, 10), (10.0,))}
    rows = [row for row in told(run)["defence"] if row["victim"] == "own"]
    assert [row["epsilon"] for row in rows] == [0, 0.5, 1, 4]  # the last one holds every grey: half the range, 64 times
    assert read(run / "evaluation" / "defence.json")["key"]["defence"]["norm"] == "l2"


def test_the_grey_radius_is_half_the_range_for_data_inside_it(run):
    subject = Subject.of(TrainedRun.read(run, False), evaluate.settings(["samples=3", "device=cpu"]))
    assert grey_radius(subject, "linf") == 0.5
    assert grey_radius(subject, "l2") == 4
    outside = subject._replace(x=subject.x + 2)
    for norm in ("linf", "l2"):
        ball = outside.norm_ball(norm, grey_radius(outside, norm))
        grey = torch.full_like(outside.x, sum(subject.data.span) / 2)
        torch.testing.assert_close(ball.around(outside.x).project(grey), grey, rtol=0, atol=1e-5)


PLAN = AttackSettings("linf", Budget(3, 1, 5), (10.0,))
OTHERWISE = {
    "steps": {"plan": PLAN._replace(budget=Budget(4, 1, 5))},
    "restarts": {"plan": PLAN._replace(budget=Budget(3, 2, 5))},
    "queries": {"plan": PLAN._replace(budget=Budget(3, 1, 6))},
    "norm": {"plan": PLAN._replace(norm="l2")},
    "seed": {"subject": {"seed": 1}},
    "range": {"span": (0.0, 2.0)},
    "inputs": {"move": 0.01},
    "labels": {"turn": True},
    "weights": {"scale": 1.5},
    "source": {"source": 1.5},
    "activation": {"act": torch.nn.Tanh},
    "program": {"program": {"sources": "other"}},
}


@pytest.mark.parametrize("what", [None, *OTHERWISE])
def test_stored_outcomes_are_used_only_if_nothing_differs(run, monkeypatch, what):
    made = []
    was = AttackRunner.run_on

    def counted(self, attack, epsilon, examples, cache_key):
        made.append(attack.name)
        return was(self, attack, epsilon, examples, cache_key)

    monkeypatch.setattr(AttackRunner, "run_on", counted)
    subject = Subject.of(TrainedRun.read(run, False), evaluate.settings(["samples=20", "device=cpu"]))

    def model(scale=1.0, act=torch.nn.ReLU):
        torch.manual_seed(0)
        layer = torch.nn.Linear(64, 10)
        with torch.no_grad():
            layer.weight.mul_(scale)
        return torch.nn.Sequential(torch.nn.Flatten(), layer, act())

    def attack(plan=PLAN, subject=(), span=None, move=0.0, turn=False, source=1.0, program=None, **victim):
        if program:
            monkeypatch.setattr(provenance, "program_version", lambda: program)
        at = whole._replace(**dict(subject))
        at = at._replace(x=(at.x + move), y=at.y.flip(0) if turn else at.y)
        at = at._replace(data=dataclasses.replace(at.data, span=span)) if span else at
        other = Pipeline.of(model(2 * source))
        attacked = AttackRunner(at, Pipeline.of(model(**victim)), plan._replace(sources={"twin": other}))
        made.clear()
        for step in attacked.steps(0.001):
            step()
        return {*made}

    whole = subject
    cache_folder().mkdir()
    assert "transfer-twin-pgd" in attack()
    again = attack(**OTHERWISE.get(what, {}))
    if what is None:
        assert not again
    elif what == "source":
        assert again == {"transfer-twin-pgd"}
    else:
        assert "fgsm" in again


def test_a_defence_with_hidden_gradients_is_masked(run, monkeypatch):
    was = defence_measure.build_pipelines

    def hidden(*given):
        found = was(*given)
        return {**found, "own": Pipeline.of(hide_gradients(found["own"].model, Faded, 300.0))}

    words = (*UNCONTROLLED, "defence.samples=100", "defence.steps=20")
    typed(run, "run=.", *words)
    (before,) = [row for row in told(run)["checks"] if row["check"] == 2]
    monkeypatch.setattr(defence_measure, "build_pipelines", hidden)
    shutil.rmtree(run / "evaluation")
    typed(run, "run=.", *words)
    (after,) = [row for row in told(run)["checks"] if row["check"] == 2]
    assert (before["outcome"], after["outcome"]) == ("passed", "failed")
    assert {row["verdict"] for row in told(run)["defence"] if row["victim"] == "own"} == {"masked"}


def test_planted_points_are_searched_once(run, monkeypatch):
    searched = []
    was = attack_runner.active_test

    def counted(model, x, *more):
        searched.append(len(x))
        return was(model, x, *more)

    monkeypatch.setattr(attack_runner, "active_test", counted)
    typed(run, "run=.", *SMALL)
    assert searched == [40, 40, 40]  # alone, twin, own
    before = told(run)
    shutil.rmtree(run / "evaluation")
    typed(run, "run=.", *SMALL)
    assert (searched, told(run)) == ([40, 40, 40], before)


def test_a_model_with_one_answer_is_not_masked(run, monkeypatch):
    was = defence_measure.build_pipelines

    def dead(*given):
        silent = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10), torch.nn.ReLU())
        silent[1].weight.data.zero_()
        return {**was(*given), "own": Pipeline.of(silent)}

    monkeypatch.setattr(defence_measure, "build_pipelines", dead)
    typed(run, "run=.", *SMALL)
    (found,) = [row for row in told(run)["verdicts"] if row["victim"] == "own"]
    assert found["gradients"] != "hidden"
    assert {row["outcome"] for row in told(run)["checks"] if row["check"] in (1, 2, 10)} == {"passed"}


def test_attacks_of_libraries_are_run(run):
    pytest.importorskip("pyautoattack")
    pytest.importorskip("foolbox")
    words = (*UNCONTROLLED, "defence.libraries=all", "defence.samples=6")
    outcome = typed(run, "run=.", *words)
    assert (outcome.code, outcome.err) == (0, "")
    rows = [row for row in told(run)["attacks"] if row["kind"] == "library"]
    assert {row["attack"] for row in rows} == {"autoattack", "minimum-norm"}


def test_a_missing_library_is_refused_before_anything_is_written(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    outcome = typed(run, "run=.", *SMALL, "defence.libraries=autoattack")
    assert (outcome.code, outcome.err) == (
        2,
        "satae-eval: defence.libraries=autoattack: pyautoattack is not installed; pip install 'satae[attacks]'\n",
    )
    assert not (run / "evaluation").exists()


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        ([-1, 0, 1], [0, 1, 1], "from -1 to 1 in training and from 0 to 1 here"),
        ([0, 1, 1], [0, 1, 2], "from 0 to 1 in training and from 0 to 2 here"),
        ([0, 1, 900_000_000], [0, 1, 1], "from 0 to 900000000 in training"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(run, train, test, told):
    subject = Subject.of(TrainedRun.read(run, False), evaluate.settings(["samples=3", "device=cpu"]))
    data = dataclasses.replace(subject.data, train=Split(subject.data.train.x[:3], torch.tensor(train)))
    odd = subject._replace(data=data, y=torch.tensor(test))
    part = build_part("defence", evaluate.settings([]))
    assert told in part.find_missing(odd)[""]
    result = part.measure(odd, iter)
    assert (result.tables, told in result.notes[0]) == ([], True)


def test_inputs_of_few_classes_have_a_note(run, monkeypatch):
    assert "classes are among the inputs" not in typed(run, "run=.", *UNCONTROLLED).out
    few = typed(run, "run=.", *UNCONTROLLED, "defence.samples=4")
    assert "note: epsilon 0.5 is added: within it every input can become an even grey" in few.out
    assert "note: only 3 of 10 classes are among the inputs\n" in few.out


def test_a_ball_around_an_input_outside_the_range_holds_the_input(run):
    subject = Subject.of(TrainedRun.read(run, False), evaluate.settings(["samples=3", "device=cpu"]))
    ball = subject._replace(x=subject.x + 2).norm_ball("linf", 0.1)
    assert ball.high == pytest.approx((subject.x + 2).max().item())
    assert ball.epsilon == pytest.approx(0.1 * subject.range_width)


def test_a_baseline_that_fails_is_not_reported_as_a_library(run, monkeypatch):
    def refused(*given, **named):
        raise ConfigError("its twin cannot be kept")

    monkeypatch.setattr("satae.evaluation.baselines.train_baseline", refused)
    outcome = typed(run, "run=.", *UNCONTROLLED)
    assert (outcome.code, outcome.err) == (2, "satae-eval: its twin cannot be kept\n")
