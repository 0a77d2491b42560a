"""Labels of every kind are classes from 0, or are refused; what is done is said."""

import re

import numpy
import pytest
import torch

from satae.data.arrays import array
from satae.data.labels import number_labels, read_labels

COUNT = 40
X = numpy.arange(2.0 * COUNT).reshape(COUNT, 2)
HALF = numpy.arange(COUNT) % 2


def data_with(folder, y, **more):
    numpy.savez(folder / "x.npz", **({"x": X, "y": y} if not more else {"x_train": X, **more}))
    return array(path=str(folder / "x.npz"), valid=0.2)


def numbered(split):
    """The row that each example had in ``X``."""
    return (split.x[:, 0] / 2).long()


@pytest.mark.parametrize(
    "labels",
    [
        HALF * 2 - 1,
        3 + HALF * 8997,
        HALF.astype(float),
        HALF.astype("float16"),
        HALF.astype(bool),
        HALF.astype("uint64"),
        numpy.array(["cat", "dog"])[HALF],
        numpy.array([b"cat", b"dog"])[HALF],
        numpy.eye(2)[HALF],
        numpy.eye(2, dtype="uint8")[HALF],
        HALF[:, None] - 7,
    ],
    ids=[
        "signs",
        "gap",
        "floats",
        "halves",
        "bools",
        "unsigned",
        "words",
        "bytes",
        "one-hot",
        "one-hot bytes",
        "column",
    ],
)
def test_labels_of_every_kind_are_classes_from_0(tmp_path, labels):
    for split in data_with(tmp_path, labels).splits:
        assert split.y.dtype == torch.int64
        assert torch.equal(split.y, numbered(split) % 2)


def test_classes_without_a_gap_are_kept_and_nothing_is_said(tmp_path):
    assert data_with(tmp_path, HALF).notes == ()


def test_renumbered_classes_are_said(tmp_path):
    assert data_with(tmp_path, 3 + HALF * 8997).notes == ("the labels 3, 9000 are numbered from 0 to 1",)


@pytest.mark.parametrize(
    "labels",
    [HALF / 3, numpy.where(HALF, numpy.nan, 1), HALF.astype(complex), numpy.ones((COUNT, 2)), HALF[:-1], X],
    ids=["fractions", "nan", "complex", "two ones", "too few", "numbers"],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, labels):
    with pytest.raises(ValueError, match="whole number") as refusal:
        data_with(tmp_path, labels)
    assert "x.npz" in str(refusal.value)


def test_withheld_labels_of_the_test_are_none(tmp_path):
    data = data_with(tmp_path, None, y_train=HALF, x_test=X[:5], y_test=numpy.full(5, -1))
    assert data.test.y is None
    assert torch.equal(data.train.y, numbered(data.train) % 2)
    assert any("every label is -1, which stands for none" in note for note in data.notes)
    assert any("the test split has no labels" in note and "split=valid" in note for note in data.notes)


def test_withheld_labels_of_everything_are_none(tmp_path):
    data = data_with(tmp_path, numpy.full(COUNT, -1))
    assert [split.y for split in data.splits] == [None] * 3


def test_labels_in_the_training_file_only_are_said(tmp_path):
    data = data_with(tmp_path, None, y_train=HALF, x_test=X[:5])
    assert [split.y is None for split in data.splits] == [False, False, True]
    assert any("the test split has no labels" in note and "split=valid, which has" in note for note in data.notes)


def test_labels_in_the_test_file_only_are_said(tmp_path):
    data = data_with(tmp_path, None, x_test=X[:5], y_test=HALF[:5])
    assert any("only the test split has labels" in note for note in data.notes)


def test_a_class_that_training_lacks_is_said_and_classes_mean_the_same_in_both(tmp_path):
    data = data_with(tmp_path, None, y_train=HALF * 5, x_test=X[:3], y_test=numpy.array([5, 2, 0]))
    assert data.test.y.tolist() == [2, 1, 0]
    assert set(data.train.y.tolist()) == {0, 2}
    assert any("labels that no example to train on has: 2" in note for note in data.notes)


def test_words_and_numbers_are_not_mixed(tmp_path):
    with pytest.raises(ValueError, match="has words as labels, and the other examples have numbers"):
        data_with(tmp_path, None, y_train=HALF, x_test=X[:2], y_test=numpy.array(["a", "b"]))


def test_minus_1_among_other_classes_is_said():
    labels = read_labels("y", numpy.array([-1, 0, 1, 2]), 4)
    [y], notes = number_labels([("y", labels)])
    assert y.tolist() == [0, 1, 2, 3]
    assert any("label -1 is read as a class of its own" in note for note in notes)


def test_an_empty_label_is_said():
    _, (note,) = number_labels([("y", read_labels("y", numpy.array(["a", "", "b"]), 3))])
    assert note.startswith("the empty label is read as a class of its own")


def test_many_classes_are_not_all_listed():
    _, [note] = number_labels([("y", numpy.arange(100) * 2)])
    assert note == "the labels 0, 2, 4, 6, 8, 10, ... (100 in all) are numbered from 0 to 99"


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("value", "shown"), [(numpy.nan, "nan"), (numpy.inf, "inf"), (1.5, "1.5")])
def test_a_label_that_is_no_class_is_named_with_its_number(value, shown, kind):
    with pytest.raises(ValueError, match=rf"y: label 2 is {re.escape(shown)}; a label must be a whole number"):
        read_labels("y", numpy.array([0.0, 1.0, value, 1.0], kind), 4)


def test_a_label_too_large_for_a_class_is_named_with_its_number():
    with pytest.raises(ValueError, match=r"y: label 1 is 1e\+30; a label must be a whole number"):
        read_labels("y", numpy.array([0.0, 1e30]), 2)
