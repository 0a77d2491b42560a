"""Numbers keep what distinguishes them in float32, or it is said; fill values and data without variation are named."""

import numpy
import pytest
import torch
from PIL import Image

from satae.config.registry import DATA_SOURCES
from satae.config.saved_config import read_config_values, restore_config
from satae.data import dataset
from satae.data.arrays import array
from satae.data.folder import folder
from satae.data.numeric_arrays import is_fill_value
from satae.data.patches import patches
from satae.experiment import build

RANDOM = numpy.random.default_rng(0)
COUNT = 600
PLAIN = RANDOM.normal(size=(COUNT, 3))


def saved(folder, values, name="x.npy"):
    numpy.save(folder / name, values)
    return str(folder / name)


def with_column(column, at=1):
    x = PLAIN.copy()
    x[:, at] = column
    return x


def everything(data):
    """All examples as they are stored, in the order of their first number."""
    x = torch.cat([split.x[:].float() for split in data.splits])
    return x[x[:, 0].argsort()]


# Numbers with a large offset

TIMES = 1.7e9 + numpy.arange(COUNT) % 60
OFFSETS = {
    "times": TIMES,
    "fractions of seconds": 1.7e9 + numpy.arange(COUNT) / 1000,
    "ids beyond 2^24": 2.0**24 + numpy.arange(COUNT),
    "dates": 20240101.0 + numpy.arange(COUNT),
    "negative": -4e10 - numpy.arange(COUNT) % 7,
    "small steps": 1 + 1e-10 * (numpy.arange(COUNT) % 50),
}


@pytest.mark.parametrize("name", OFFSETS)
@pytest.mark.parametrize("held", [0, 2**29])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_distinct_numbers_stay_distinct(tmp_path, monkeypatch, name, held, suffix):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", held)
    x = with_column(OFFSETS[name])
    path = saved(tmp_path, x)
    if suffix == "npz":
        path = str(tmp_path / "x.npz")
        numpy.savez(path, x=x)
    data = array(path=path)
    found, wanted = everything(data), x[x[:, 0].argsort()]
    assert len(found[:, 1].unique()) == len(numpy.unique(x[:, 1]))
    shift = numpy.median(wanted[:, 1] - found[:, 1].numpy())
    numpy.testing.assert_allclose(found[:, 1].double().numpy() + shift, wanted[:, 1], rtol=0, atol=2e-4)
    assert torch.equal(found[:, [0, 2]], torch.from_numpy(wanted[:, [0, 2]].astype("float32")))
    assert any("is subtracted from column 1" in note for note in data.notes)


def test_the_widest_type_is_centered_too(tmp_path):
    data = array(path=saved(tmp_path, with_column(TIMES).astype("longdouble")))
    assert len(everything(data)[:, 1].unique()) == 60


def test_the_test_is_centered_like_the_training(tmp_path):
    path, test_path = saved(tmp_path, with_column(TIMES)), saved(tmp_path, with_column(TIMES)[:9] + 1, "t.npy")
    data = array(path=path, test_path=test_path)
    assert (data.test.x[:, 1] - data.test.x[0, 1]).tolist() == list(range(9))
    assert abs(data.test.x[0, 1] - data.train.x[:, 1].min()) == 1


def test_images_have_one_center(tmp_path):
    x = 1e9 + RANDOM.integers(0, 50, (40, 6, 6)).astype(float)
    data = array(path=saved(tmp_path, x))
    assert sorted(torch.cat([split.x for split in data.splits]).unique().diff().unique().tolist()) == [1]


@pytest.mark.parametrize(
    "values",
    [
        PLAIN,
        PLAIN + 1000,
        PLAIN * 1e6,
        with_column(numpy.arange(COUNT) % 2),
        with_column(5.0),
        RANDOM.poisson(0.3, (COUNT, 5)).astype(float),
        RANDOM.standard_cauchy((COUNT, 3)),
        numpy.eye(10)[RANDOM.integers(0, 10, COUNT)],
        10.0 ** RANDOM.uniform(-5, 5, (COUNT, 3)),
        RANDOM.uniform(0.5, 1, (30, 100, 100)),
    ],
    ids=[
        "normal",
        "offset",
        "large",
        "binary",
        "constant column",
        "counts",
        "heavy tails",
        "one-hot",
        "wide",
        "images",
    ],
)
def test_other_numbers_keep_their_bits_and_nothing_is_said(tmp_path, values):
    data = array(path=saved(tmp_path, values))
    wanted = torch.from_numpy(values.astype("float32")).flatten(1)
    found = torch.cat([split.x for split in data.splits]).flatten(1)
    assert torch.equal(found.sum(dim=1).sort().values, wanted.sum(dim=1).sort().values)
    assert data.notes == ()


def test_numbers_that_are_lost_all_the_same_are_said(tmp_path):
    column = numpy.concatenate([1e30 + 1e15 * numpy.arange(COUNT // 2), numpy.arange(COUNT // 2)])
    column = column[RANDOM.permutation(COUNT)]
    data = array(path=saved(tmp_path, with_column(column)))
    assert any("float32 keeps" in note and "column 1" in note for note in data.notes)


@pytest.mark.parametrize("held", [0, 2**29])
@pytest.mark.parametrize(("highest", "factor"), [(1, 255), (16, 15), (31, 8), (32, None), (255, None)])
def test_bytes_that_use_a_small_part_of_their_range_are_said(tmp_path, monkeypatch, held, highest, factor):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", held)
    data = array(path=saved(tmp_path, RANDOM.integers(0, highest + 1, (COUNT, 5)).astype("uint8")))
    assert data.batch(data.train.x).max() == pytest.approx(highest / 255)
    told = f"holds no number above {highest}, and is read as brightness from 0 to 255, the unit of noise.level"
    assert [told in note and f"multiply all by {factor} " in note for note in data.notes] == [True] * (
        factor is not None
    )


def test_images_that_hold_classes_are_said_to_use_a_small_part_of_their_range(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(9):
        Image.fromarray(RANDOM.integers(0, 3, (8, 8)).astype("uint8")).save(tmp_path / "in" / f"{number}.png")
    (note,) = folder(path=str(tmp_path / "in"), size=None).notes
    assert note.startswith(f"path={tmp_path / 'in'}: holds no number above 2, and is read as brightness")


def test_numbers_that_a_promised_span_keeps_from_being_centered_are_said(tmp_path):
    column = 1.7e9 + 50 * (numpy.arange(COUNT) % 60)
    data = array(path=saved(tmp_path, numpy.stack([column, column[::-1]], axis=1)), span=[1.6e9, 1.8e9])
    assert len(data.train.x.unique()) < 60
    (note,) = data.notes
    assert "float32 cannot distinguish all its numbers; without data.span, they are centered" in note


@pytest.mark.parametrize(
    ("train", "test", "is_said"),
    [
        (PLAIN, PLAIN[:90], False),
        (PLAIN, 255 * PLAIN[:90], True),
        (255 * PLAIN, PLAIN[:90], True),
        (PLAIN, 1e6 + PLAIN[:90], True),
        (PLAIN.reshape(-1, 5, 5, 1)[:70], 255 * PLAIN.reshape(-1, 5, 5, 1)[:20], True),
    ],
    ids=["alike", "larger", "smaller", "elsewhere", "images"],
)
def test_a_test_in_another_unit_is_said(tmp_path, train, test, is_said):
    numpy.savez(tmp_path / "x.npz", x_train=train, x_test=test)
    notes = array(path=str(tmp_path / "x.npz")).notes
    assert ["x_test: its numbers span " in note and note.endswith("in the same unit?") for note in notes] == [
        True
    ] * is_said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (PLAIN * 1e-60, "float32 cannot distinguish its numbers"),
        (PLAIN * 1e100, r"column 0 holds .*e\+\d+, too large for float32"),
        (numpy.where(PLAIN > 2, numpy.inf, PLAIN).astype("float16"), r"holds inf, .*float16 ends at 65504"),
        (PLAIN.astype("complex64"), r"x\.real, x\.imag"),
        ((TIMES[:, None]).astype("datetime64[s]"), r"numpy\.timedelta64\(1, 's'\)"),
        ((TIMES[:, None]).astype("int64"), r"holds int64.*astype\('float64'\)"),
        (PLAIN > 0, r"holds bool.*astype\('float32'\)"),
        (numpy.zeros((9, 2), [("a", "f4")]), "structured_to_unstructured"),
    ],
    ids=["tiny", "huge", "float16", "complex", "dates", "int64", "bool", "structured"],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_numbers_of_another_kind_are_refused_with_what_to_do(tmp_path, values, words, suffix):
    path = saved(tmp_path, values) if suffix == "npy" else str(tmp_path / "x.npz")
    if suffix == "npz":
        numpy.savez(path, x=values)
    with pytest.raises(ValueError, match=words) as refusal:
        array(path=path)
    assert "\n" not in str(refusal.value)


def test_arrays_beside_the_examples_are_named(tmp_path):
    numpy.savez(tmp_path / "x.npz", x=PLAIN, mask=PLAIN > 0)
    assert array(path=str(tmp_path / "x.npz")).notes == (f"{tmp_path}/x.npz: not read: mask",)


def test_an_archive_of_very_many_arrays_is_described_in_a_short_line(tmp_path):
    many = {f"name{number}": PLAIN[:1] for number in range(2000)}
    numpy.savez(tmp_path / "more.npz", x=PLAIN, **many)
    (note,) = array(path=str(tmp_path / "more.npz")).notes
    numpy.savez(tmp_path / "other.npz", **many)
    with pytest.raises(ValueError, match=r"has name0, name1, .*\.\.\.; name the examples x, or ") as refusal:
        array(path=str(tmp_path / "other.npz"))
    assert note.startswith(f"{tmp_path}/more.npz: not read: name0, name1, ")
    assert max(len(note), len(str(refusal.value))) < 500


# Fill values


@pytest.mark.parametrize("value", [1e17, -9999, -999, -32768, 2147483647, -99999])
@pytest.mark.parametrize("rows", [[5], range(5, COUNT, 9)])
@pytest.mark.parametrize("held", [0, 2**29])
def test_a_fill_value_is_named_with_its_place(tmp_path, monkeypatch, value, rows, held):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", held)
    x = PLAIN.astype("float32")
    x[list(rows), 2] = value
    [note] = array(path=saved(tmp_path, x)).notes
    more = f", as {len(rows) - 1} more examples do" if len(rows) > 1 else ""
    assert f"x.npy: example 5, column 2 holds {value:g}{more}: a fill value? Others are from -" in note
    assert "leave such examples out" in note


@pytest.mark.parametrize("value", [-1, -9, -99])
def test_a_short_code_is_named_among_positive_numbers(tmp_path, value):
    x = numpy.abs(PLAIN).astype("float32")
    x[[5, 8], 2] = value
    [note] = array(path=saved(tmp_path, x)).notes
    assert f"example 5, column 2 holds {value}, as 1 more example does: a fill value? Others are from 0." in note


@pytest.mark.parametrize("levels", [(-1, 1), (-1, 0, 1), (-9, -1)])
def test_levels_are_no_codes(tmp_path, levels):
    x = RANDOM.choice(numpy.float32(levels), size=(COUNT, 4))
    assert not array(path=saved(tmp_path, x)).notes


def test_columns_of_bytes_keep_one_range_and_this_is_said(tmp_path):
    x = RANDOM.integers(0, 256, size=(COUNT, 3)).astype("uint8")
    assert not array(path=saved(tmp_path, x)).notes
    x[:, 1] %= 4
    data = array(path=saved(tmp_path, x))
    assert (data.span, data.columns) == ((0.0, 1.0), None)
    assert "vectors of bytes are read as pixels, with one range, 0 to 255, for all columns" in data.notes[0]


def test_two_fill_values_in_one_column_and_others_in_many(tmp_path):
    x = RANDOM.normal(size=(COUNT, 6))
    x[3, 0], x[4, 0] = 1e17, -9999
    x[7, 1:] = -9999
    notes = array(path=saved(tmp_path, x)).notes
    assert len(notes) == 4
    assert "4 more columns hold such values" in notes[-1]


def test_a_number_that_is_far_out_is_named(tmp_path):
    x = PLAIN.copy()
    x[11, 1] = 123456.0
    [note] = array(path=saved(tmp_path, x)).notes
    assert "example 11, column 1 holds 123456: a fill value?" in note


@pytest.mark.parametrize("value", [1e20, 9.96921e36])
def test_a_fill_value_without_a_square_is_refused_by_its_place(tmp_path, value):
    x = PLAIN.copy()
    x[5, 2] = value
    with pytest.raises(ValueError, match=r"example 5, column 2 holds .*: a fill value\? .*cannot hold the square"):
        array(path=saved(tmp_path, x))


def test_the_place_of_a_fill_value_in_an_image(tmp_path):
    x = RANDOM.random((50, 4, 5))
    x[8, 2, 3] = x[8, 2, 4] = x[9, 0, 0] = -9999
    [note] = array(path=saved(tmp_path, x)).notes
    assert "example 8, row 2, column 3 holds -9999, as 1 more example does: a fill value?" in note


def test_a_number_that_is_not_finite_in_an_image_is_named(tmp_path):
    x = RANDOM.random((50, 3, 4, 5))
    x[8, 1, 2, 3] = numpy.nan
    with pytest.raises(ValueError, match="example 8, channel 1, row 2, column 3 holds nan, not a finite number"):
        array(path=saved(tmp_path, x))


@pytest.mark.parametrize(("value", "is_one"), [(-9999.0, True), (999, True), (99, False), (1e20, True), (1234, False)])
def test_what_a_fill_value_is(value, is_one):
    assert is_fill_value(value) == is_one


# Nothing to learn


@pytest.mark.parametrize(
    "values",
    [
        numpy.full((60, 4), 7, "uint8"),
        numpy.zeros((60, 5, 5), "uint8"),
        numpy.tile(numpy.arange(4, dtype="uint8"), (60, 1)),
        numpy.tile(numpy.arange(4.0), (60, 1)),
        numpy.arange(12, dtype="uint8").reshape(3, 4),
        numpy.arange(12.0).reshape(3, 4),
    ],
    ids=["constant", "black", "the same bytes", "the same numbers", "one", "one of numbers"],
)
@pytest.mark.parametrize("held", [0, 2**29])
def test_data_from_which_nothing_can_be_learned_are_refused(tmp_path, monkeypatch, values, held):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", held)
    with pytest.raises(ValueError, match="nothing to learn"):
        array(path=saved(tmp_path, values), valid=0.3, test=0.3)


@pytest.mark.parametrize("scale", [1e-17, 1e-25, 1e-42])
@pytest.mark.parametrize("shape", [(COUNT, 3), (COUNT, 4, 5)])
def test_data_whose_differences_have_no_squares_are_refused(tmp_path, scale, shape):
    x = scale * RANDOM.random(shape) + (1 if scale == 1e-17 else 0)
    with pytest.raises(ValueError, match=r"float32 cannot|nothing to learn"):
        array(path=saved(tmp_path, x))
    with pytest.raises(ValueError, match=r"float32 cannot|nothing to learn"):
        array(path=saved(tmp_path, x.astype("float32")), span=[0, 1])


def test_data_whose_range_has_no_square_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x.npy: float32 cannot hold the square of the range of the data, .*; divide"):
        array(path=saved(tmp_path, 1e20 * PLAIN))


def test_a_column_with_a_range_that_float32_cannot_hold_is_refused_by_its_number(tmp_path):
    x = PLAIN.copy()
    x[:, 1] *= 1e-41
    with pytest.raises(ValueError, match=r"the range of column 1 is .*e-4., which float32 cannot hold; multiply"):
        array(path=saved(tmp_path, x))


def test_a_training_split_that_is_constant_is_refused_though_the_test_is_not(tmp_path):
    numpy.savez(tmp_path / "x.npz", x_train=numpy.ones((50, 2), "uint8"), x_test=RANDOM.integers(0, 9, (9, 2), "uint8"))
    with pytest.raises(ValueError, match="every number is 1, so that there is nothing to learn"):
        array(path=str(tmp_path / "x.npz"))


@pytest.mark.parametrize("source", [folder, patches])
def test_images_that_are_all_black_are_refused(tmp_path, source):
    (tmp_path / "in").mkdir()
    for number in range(9):
        Image.new("L", (90, 60)).save(tmp_path / "in" / f"{number}.png")
    with pytest.raises(ValueError, match="nothing to learn"):
        source(path=str(tmp_path / "in"))


@pytest.mark.parametrize("name", ["digits", "manifold"])
def test_a_single_training_example_is_refused_in_every_source(name):
    options = build.json.dumps(DATA_SOURCES.defaults(name) | {"limit": 1})
    with pytest.raises(ValueError, match=f"data={name}: one example is left to train on"):
        build.load_data(name, options)


# Configurations of earlier versions


@pytest.mark.parametrize("source", ["folder", "patches", "hf"])
def test_a_configuration_without_the_background_is_read(tmp_path, configuration, source):
    now = configuration(f"data={source}", f"data.path={tmp_path}").to_dict()
    before = {**now, "data": {key: value for key, value in now["data"].items() if key != "background"}}
    assert restore_config(before, "config").to_dict() == now
    (tmp_path / "config.yaml").write_text(build.json.dumps(before))
    assert read_config_values(tmp_path / "config.yaml") == now


def test_a_configuration_of_another_source_gets_no_background(configuration):
    assert "background" not in restore_config(configuration("data=digits").to_dict(), "config").data.options


# What was assumed is printed and stored


@pytest.mark.parametrize("sweep", [False, True])
def test_what_was_assumed_is_printed_once_and_stored(tmp_path, capsys, monkeypatch, sweep):
    from satae.train import run_command

    monkeypatch.chdir(tmp_path)
    saved(tmp_path, with_column(TIMES))
    alpha = ["-m", "alpha=0,0.1", "hydra.sweep.dir=out"] if sweep else ["hydra.run.dir=out"]
    assert run_command(["data=array", "data.path=x.npy", "epochs=1", "arch.widths=[4]", "logger=none", *alpha]) == 0
    printed = capsys.readouterr().out
    assert printed.count("is subtracted from column 1") == 1
    files = sorted((tmp_path / "out").rglob("run.json"))
    assert len(files) == (2 if sweep else 1)
    for file in files:
        notes = build.json.loads(file.read_text())["assumptions"]
        assert "is subtracted from column 1" in notes[0]
        assert all(f"data: {note}\n" in printed for note in notes)
