"""Tables of satae-eval on terminals of several widths, and of several runs."""

import io
from functools import partial

import pytest
from evaluated import QUICK, trained, typed
from program import read
from rich.console import Console

from satae.evaluation import result_printer
from satae.evaluation.result import PartResult
from satae.evaluation.result_printer import ResultPrinter, format_seed_cell, headline_tables, layout_table
from satae.sweeps.aggregate import SeedStatistics

TITLES = ("noise", "level", "psnr", "noisy ssim", "n")
ROWS = [["salt_and_pepper", 0.05, 27.677, 0.96223, 1000], ["salt_and_pepper", 0.25, None, 0.007826, 1000]]


def shown(titles, rows, width):
    screen = Console(width=width, record=True, file=io.StringIO())
    for grid in layout_table(titles, rows, width):
        screen.print(grid)
    return [line.rstrip() for line in screen.export_text().splitlines()]


def test_a_table_that_fits_is_one():
    assert shown(TITLES, ROWS, 80) == [
        "                               noisy",
        "noise           level  psnr     ssim    n",
        "salt_and_pepper  0.05 27.68   0.9622 1000",
        "salt_and_pepper  0.25     - 0.007826 1000",
    ]


@pytest.mark.parametrize("width", range(26, 60))
def test_a_narrow_terminal_cuts_no_number_and_loses_no_column(width):
    words = " ".join(shown(TITLES, ROWS, width)).split()
    digits = [
        {format_seed_cell(value, digits) for row in ROWS for value in row} for digits in result_printer.DIGIT_CHOICES
    ]
    assert any(numbers <= {*words} for numbers in digits)
    assert {word for title in TITLES for word in title.split()} <= {*words}
    assert max(map(len, shown(TITLES, ROWS, width))) <= width


def test_columns_that_do_not_fit_go_below_with_the_key_columns():
    lines = shown(TITLES, ROWS, 38)
    assert [line.split()[:2] for line in lines if "level" in line] == [["noise", "level"]] * 2
    assert sum(line.startswith("salt_and_pepper  0.25") for line in lines) == 2


def test_fewer_digits_come_before_two_tables():
    rows = [["a", 0.12345], ["b", 0.23456]]
    assert shown(("of", "value"), rows, 9)[1] == "a  0.1235"
    assert shown(("of", "value"), rows, 8)[1] == "a  0.123"


def test_only_long_text_is_broken_between_words():
    found = "exact, through classifier(autoencoder(x)), in every element of every input"
    lines = shown(("check", "outcome", "what", "found"), [[10, "inconclusive", "whole pipeline attacked", found]], 70)
    assert lines[0].split() == ["check", "outcome", "what", "found"]
    assert lines[1].startswith("   10 inconclusive whole pipeline attacked exact, through")
    assert " ".join(line[len("   10 inconclusive whole pipeline attacked ") :] for line in lines[1:]) == found


def test_a_number_over_several_seeds_has_its_deviation():
    assert format_seed_cell(SeedStatistics.from_values([0.1, 0.2])) == "0.150 ± 0.071"
    assert format_seed_cell(SeedStatistics.from_values([0.25])) == "0.25"
    assert format_seed_cell(SeedStatistics.from_values([])) == "-"


def result(folder, found, **choices):
    folder.mkdir()
    (folder / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in choices.items()))
    return folder, found


def test_a_mean_takes_only_runs_measured_at_one_radius(tmp_path):
    def defence(epsilon, accuracy, verdict):
        return {"defence": {"epsilon": epsilon, "robust accuracy": accuracy, "verdict": verdict}}

    every = [(0, 0.1, 0.5, "masked"), (0, 0.1, 0.7, "holds"), (0, 0.2, 0.1, "holds"), (1, 0.1, 0.25, "holds")]
    runs = dict(
        result(tmp_path / f"{place}", {**defence(*found), "code": {}}, alpha=alpha, seed=place, act="relu")
        for place, (alpha, *found) in enumerate(every)
    )
    (found,) = headline_tables(runs)
    assert found.title == "defence: mean ± standard deviation over the seeds (page: 95 % interval)"
    assert found.columns == ["alpha", "seeds", "epsilon", "robust accuracy", "verdict"]
    assert [[format_seed_cell(cell) for cell in row] for row in found.rows] == [
        ["0", "2", "0.1", "0.60 ± 0.14", "1 masked, 1 holds"],
        ["0", "1", "0.2", "0.1", "holds"],
        ["1", "1", "0.1", "0.25", "holds"],
    ]


def test_runs_that_differ_only_in_their_seed_are_one_row(tmp_path):
    runs = dict(result(tmp_path / f"{seed}", {"code": {"slope": float(seed)}}, seed=seed) for seed in (1, 3))
    (found,) = headline_tables(runs)
    assert (found.columns, [[format_seed_cell(cell) for cell in found.rows[0]]]) == (
        ["seeds", "slope"],
        [["2", "2.0 ± 1.4"]],
    )


def test_a_long_headline_is_broken_between_two_numbers_and_indented(monkeypatch, capsys):
    terminal = partial(result_printer.PipeSafeConsole, width=40, force_terminal=True, color_system=None)
    monkeypatch.setattr(result_printer, "PipeSafeConsole", terminal)
    headline = {"robust accuracy": 0.5, "verdict": "masked", "of its twin": 0.625}
    ResultPrinter().print_headline("defence", PartResult([], headline))
    ResultPrinter().print_line("\na table")
    assert capsys.readouterr().out.splitlines() == [
        "  defence       robust accuracy 0.5",
        "                verdict masked",
        "                of its twin 0.625",
        "",
        "a table",
    ]


def test_progress_outside_a_terminal_is_a_line_now_and_then(monkeypatch, capsys):
    now = iter([0.0, 30.0, 61.0, 61.0, 90.0, 130.0, 130.0])
    monkeypatch.setattr(result_printer.time, "monotonic", lambda: next(now))
    assert [*ResultPrinter().track("defence", [5, 6, 7, 8])] == [5, 6, 7, 8]
    assert capsys.readouterr() == ("", "defence 1/4\ndefence 3/4\n")


def test_the_output_of_a_run_fits_80_columns(tmp_path, monkeypatch):
    run = trained(tmp_path, "act=sigmoid", "data.limit=100")
    terminal = partial(result_printer.PipeSafeConsole, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(result_printer, "PipeSafeConsole", terminal)
    lines = typed(tmp_path, "run=run", "evaluation=denoising,code", *QUICK, "code.jacobians=5").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    rows = read(run / "evaluation" / "denoising.json")["tables"][0]["rows"]
    start = next(place for place, line in enumerate(lines) if line.startswith("noise "))
    assert [line.split()[:2] for line in lines[start + 1 : start + 1 + len(rows)]] == [
        [noise, f"{level:g}"] for noise, level, *_ in rows
    ]
