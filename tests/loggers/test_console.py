from pathlib import Path

import pytest

from satae.loggers.console import EPOCH_LINES, RunConsole

NUMBERS = ["total", "reconstruction", "fvu", "psnr", "saturation", "saturated_fraction", "dead_fraction"]


@pytest.fixture
def metrics():
    values = {f"{split}/{name}": 0.25 for split in ("train", "valid") for name in NUMBERS}
    layers = {f"{split}/saturated_fraction/layer1": 0.75 for split in ("train", "valid")}
    return {"alpha": 0.1, "valid/collapsed": 0.0, **values, **layers}


def told(capsys, metrics, epochs=100, **options):
    with RunConsole(epochs, **options) as display:
        for number in range(1, epochs + 1):
            display.show_epoch(number, metrics)
        display.show_result(metrics, Path.cwd() / "outputs" / "day" / "time", [], "TensorBoard  what to type")
    return capsys.readouterr().out


def test_a_pipe_gets_plain_lines_a_table_and_the_places_of_the_results(capsys, metrics):
    out = told(capsys, metrics)
    assert "\x1b" not in out
    assert sum(line.startswith("epoch") for line in out.splitlines()) == EPOCH_LINES
    assert "  layer1" in out
    assert "results      outputs/day/time" in out
    assert out.splitlines()[-1] == "TensorBoard  what to type"


@pytest.mark.parametrize("epochs", [1, 3, 7])
def test_the_last_epoch_is_always_printed(capsys, metrics, epochs):
    assert f"epoch {epochs}/{epochs}" in told(capsys, metrics, epochs)


def test_a_run_of_a_sweep_prints_one_line(capsys, metrics):
    assert told(capsys, metrics, name="alpha=0") == "alpha=0  valid fvu 0.250  saturated 0.250\n"


def test_a_collapse_is_a_warning(capsys, metrics):
    assert "collapsed" not in told(capsys, metrics)
    high = metrics | {"valid/collapsed": 1.0, "valid/fvu": 0.9931}
    high_fvu = "warning: collapsed: valid fvu 0.993 (0.99 or more: hardly better than the mean of the data"
    assert f"{high_fvu}); try " in told(capsys, high)
    assert f"{high_fvu}, or not trained long enough yet); try " in told(capsys, high, 9)
    dead = {"valid/dead_fraction/layer1": 0.5, "valid/dead_fraction/layer2": 1.0}
    assert "warning: collapsed: all units of layer2 are dead; try " in told(capsys, high | dead)


def test_the_final_table_says_which_numbers_are_of_noisy_inputs(capsys, metrics):
    out = told(capsys, metrics | {"valid/code_sensitivity": 0.5})
    (head,) = [line for line in out.splitlines() if line.split()[-2:] == ["train", "valid"]]
    assert head.startswith("noisy inputs, as in training ")
    assert [line.split("  ")[0] for line in out.splitlines() if "clean inputs" in line] == [
        "sensitivity of the code to small noise (clean inputs)"
    ]


def test_a_collapse_in_a_sweep_is_a_word_on_the_printed_line_and_a_warning_in_the_log(capsys, caplog, metrics):
    out = told(capsys, metrics | {"valid/collapsed": 1.0}, name="alpha=0")
    assert out == "alpha=0  valid fvu 0.250  saturated 0.250  collapsed\n"
    assert "collapsed: valid fvu 0.25 (" in caplog.text


def test_the_printed_line_keeps_significant_digits(capsys, metrics):
    small = metrics | {"valid/fvu": 0.00042, "valid/saturated_fraction": 0.99996}
    assert told(capsys, small, name="alpha=0") == "alpha=0  valid fvu 0.000420  saturated 1.00\n"
