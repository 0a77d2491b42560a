"""What a user is told before a training begins."""

import numpy
import pytest

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
