"""What a user is told before a training begins."""

import numpy
import pytest
from program import here, read

from satae.experiment import before_training
from satae.experiment.before_training import startup_warnings
from satae.experiment.experiment import Experiment

SMALL = ("arch.widths=[9,5]", "data.limit=60", "batch_size=16", "epochs=3")


@pytest.mark.parametrize(
    ("overrides", "has_gradient", "told"),
    [
        (["act=relu", "complement=slope", "alpha=0.1"], False, True),
        (["act=satlin", "complement=slope", "alpha=0.1"], False, True),
        (["act=relu", "complement=slope", "alpha=0"], False, False),
        (["act=relu", "complement=output", "alpha=0.1"], True, False),
        (["act=tanh", "complement=slope", "alpha=0.1"], True, False),
    ],
)
def test_a_penalty_without_gradient_gives_a_warning(configuration, overrides, has_gradient, told):
    experiment = Experiment.from_config(configuration(*SMALL, *overrides))
    x = experiment.data.batch(experiment.data.train.x)
    assert experiment.objective(experiment.model, x, x, 0.1).saturation.requires_grad == has_gradient
    assert any("trains nothing" in line for line in startup_warnings(experiment)) == told


def test_a_layer_that_starts_saturated_gives_a_warning(configuration):
    assert startup_warnings(Experiment.from_config(configuration(*SMALL))) == []
    (first, *_) = startup_warnings(Experiment.from_config(configuration(*SMALL, "act=shrink", "act.threshold=6")))
    assert first.startswith("layer1 starts with 100% of its units saturated")


def test_faint_noise_gives_a_warning(configuration, tmp_path):
    numpy.save(tmp_path / "x.npy", numpy.random.default_rng(0).uniform(0, 255, (200, 4)).astype("float32"))
    base = ("data=array", f"data.path={tmp_path / 'x.npy'}", "arch.widths=[3]")
    told = [
        startup_warnings(Experiment.from_config(configuration(*base, f"noise.level={level}"))) for level in (0.3, 30)
    ]
    assert [any("hardly any noise" in line for line in lines) for lines in told] == [True, False]


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["noise.level=30"], "noise.level=30 is wider than the whole range of the data, 0 to 1"),
        (["noise=uniform", "noise.level=1.01"], "noise.level=1.01 is wider than"),
        (["noise.level=1"], None),
        (["noise.level=0"], "noise.level=0 is no noise at all: noise=gaussian changes nothing, as noise=none does"),
        (["noise=masking", "noise.level=0"], "noise.level=0 is no noise at all"),
        (["noise=masking", "noise.level=1"], None),
        (["batch_size=61"], "batch_size=61 is more than the 60 training inputs"),
        (["batch_size=60"], None),
        (["threads=3"], "threads=3 is more than the 2 cores"),
        (["threads=2"], None),
    ],
)
def test_what_is_larger_than_the_data_or_the_machine_gives_one_warning(configuration, monkeypatch, words, start):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1}, raising=False)
    usual = [word for word in SMALL if word.partition("=")[0] != words[0].partition("=")[0]]
    experiment = Experiment.from_config(configuration(*usual, *words))
    told = startup_warnings(experiment)
    assert len(told) == (start is not None)
    assert not told or told[0].startswith(start)
    assert experiment.describe().get("assumptions", []) == [line for line in told if line.startswith("noise.level")]


def test_the_summary_names_the_level_of_the_noise_and_the_range_of_the_data(configuration):
    gaussian, none = (Experiment.from_config(configuration(*SMALL, f"noise={name}")) for name in ("gaussian", "none"))
    assert ", gaussian noise 0.3 (data from 0 to 1), on cpu" in gaussian.summary()
    assert ", no noise, on cpu" in none.summary()


GAPS = ("data=array", "arch=conv", "arch.channels=[4,4]", "arch.code=3", "batch_size=16", "epochs=1", "threads=1")


@pytest.fixture
def images(tmp_path):
    """A file of images of 14x14 pixels."""
    numpy.save(tmp_path / "x.npy", numpy.random.default_rng(0).integers(0, 256, (60, 14, 14, 1), dtype="uint8"))
    return f"data.path={tmp_path / 'x.npy'}"


def test_pixels_at_the_border_that_no_convolution_reads_give_a_warning_and_are_recorded(tmp_path, images):
    outcome = here(tmp_path, *GAPS, images, "arch.kernel=2", "arch.stride=2", "hydra.run.dir=run")
    line = (
        "arch.kernel=2, arch.stride=2: 27 % of the pixels at the border are not read by the convolutions, and reach"
        " neither the code nor the reconstruction; choose arch.kernel=3"
    )
    assert outcome.code == 0
    assert f"warning: {line}\n" in outcome.out
    assert line in read(tmp_path / "run" / "run.json")["assumptions"]
    assert line in read(tmp_path / "run" / "run.json")["warnings"]
    outcome = here(tmp_path, *GAPS, images, "arch.kernel=3", "arch.stride=2", "hydra.run.dir=other")
    assert (outcome.code, "not read by" in outcome.out) == (0, False)


def test_a_new_run_with_gaps_between_its_windows_is_refused_but_an_earlier_one_resumes(tmp_path, images, monkeypatch):
    words = (*GAPS, images, "arch.kernel=2", "arch.stride=3", "hydra.run.dir=run")
    outcome = here(tmp_path, *words)
    assert (outcome.code, (tmp_path / "run").exists()) == (2, False)
    assert outcome.err.startswith("satae-train: arch.kernel=2, arch.stride=3: 67 % of the pixels lie between the")
    assert outcome.err.endswith("; choose arch.kernel=3\n")
    remedy = outcome.err.split("choose ")[1].strip()
    assert here(tmp_path, *words, remedy, "hydra.run.dir=remedy").code == 0
    sweep = here(tmp_path, *words[:-1], "sweep=gaps", "seed=0,1")
    assert (sweep.code, (tmp_path / "outputs").exists()) == (2, False)
    monkeypatch.setattr(before_training, "check_new", before_training.check_config)  # as before
    assert here(tmp_path, *words).code == 0
    monkeypatch.undo()
    assert here(tmp_path, "resume=run", "epochs=2").code == 0
