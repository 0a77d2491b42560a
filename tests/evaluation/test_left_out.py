"""What an evaluation cannot measure is said before anything is measured."""

import numpy as np
import pytest
from evaluated import QUICK, trained, typed

from satae.robustness.estimates import fraction_estimate
from satae.robustness.masking_checks import fewest_inputs, is_rare

NO_TEST_LABELS = "the test split has no labels; split=valid has"
pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on data whose test examples have no labels."""
    folder, draw = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    arrays = {"x_train": draw.random((90, 4)), "y_train": np.arange(90) % 3, "x_test": draw.random((30, 4))}
    np.savez(folder / "x.npz", **arrays)
    sizes = ("epochs=1", "batch_size=32", "arch.widths=[3]", "threads=1", "alpha=0")
    return trained(folder, tiny=("data=array", f"data.path={folder}/x.npz", *sizes))


def test_all_parts_say_first_what_is_left_out(run):
    outcome = typed(run, "run=.", *QUICK, "manifold.other=auto", "evaluation=all")
    assert (outcome.code, outcome.err) == (0, "")
    first, second, *lines = outcome.out.splitlines()
    assert ": array, mlp, relu" in first
    assert second.startswith("  weights ")
    assert lines[0] == f"left out: code probes, defence: {NO_TEST_LABELS}"
    assert lines[1] == "left out: manifold with other images: the inputs are not images"
    assert f"no accuracies: {NO_TEST_LABELS}" in outcome.out
    assert f"no defence: {NO_TEST_LABELS}" in outcome.out


def test_a_named_part_that_cannot_be_measured_is_refused_before_the_others_are(run):
    before = sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*"))
    outcome = typed(run, "run=.", *QUICK, "evaluation=denoising,defence", "seed=1")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"satae-eval: evaluation=defence: no defence: {NO_TEST_LABELS}\n"
    assert sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*")) == before


def test_a_split_with_labels_leaves_nothing_out(run):
    outcome = typed(run, "run=.", *QUICK, "evaluation=code", "split=valid")
    assert outcome.code == 0
    assert "left out: code" not in outcome.out
    assert "linear probe" in outcome.out


def test_too_few_inputs_for_any_masking_check_are_said_before_the_attacks(run):
    lines = typed(run, "run=.", *QUICK, "evaluation=defence", "split=valid").out.splitlines()
    told = (
        "left out: defence verdict that gradients are visible: 10 inputs are too few: a masking check needs 73 to pass"
    )
    place = next(place for place, line in enumerate(lines) if line.startswith(told))
    assert place < lines.index("defence")  # the title, which is printed before the first attack


def test_the_fewest_inputs_are_those_with_which_a_check_passes():
    assert [is_rare(fraction_estimate(0, fewest_inputs() - less)) for less in (1, 0)] == ["open", "passed"]
    assert fewest_inputs() == 73
