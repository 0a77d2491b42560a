import csv
import re
import sys
from operator import attrgetter

import pytest
from made import read_all, run

from satae.page.findings import interval_note
from satae.page.tables import configurations_table
from satae.sweeps import manifest
from satae.sweeps.aggregate import group_runs
from satae.sweeps.csv_files import groups_csv, runs_csv
from satae.sweeps.results import read_runs
from satae.sweeps.table import print_sweep
from satae.training.metric_titles import TABLE_METRICS, column_title


@pytest.fixture
def sweep(tmp_path):
    values = {(0.0, 0): 0.2, (0.0, 1): 0.4, (0.1, 0): 0.5, (0.1, 1): None}
    for (alpha, seed), fvu in values.items():
        measures = {"alpha": 0.07, "valid/fvu": fvu, "valid/saturated_fraction": 0.5, "valid/collapsed": 0.0}
        how = {"metrics": measures} if fvu else {"status": "failed", "error": "NonFiniteLoss: the loss is nan"}
        run(tmp_path / f"alpha={alpha},seed={seed}", alpha=alpha, seed=seed, **how)
    return tmp_path


def csv_rows(sweep):
    text = runs_csv(read_all(sweep), attrgetter("name")).decode()
    return list(csv.DictReader(text.splitlines(keepends=True)))


def lines(sweep, capsys, *asked):
    print_sweep(sweep, read_all(sweep), [sweep / name for name in asked])
    return capsys.readouterr().out.splitlines()


def test_the_table_aggregates_seeds_and_counts_failures(sweep, capsys):
    header, plain, saturated, *_ = lines(sweep, capsys)
    assert header.split()[:2] == ["alpha", "finished"]  # act does not vary, the seed is averaged over
    assert header.split()[-1] == "failed"
    assert plain.split()[:5] == ["0", "2", "0.30", "±", "0.14"]
    assert saturated.split()[:3] == ["0.1", "1", "0.5000"]
    assert saturated.split()[-1] == "1"


@pytest.mark.parametrize("third", [{"valid/fvu": None}, {}], ids=["nan", "missing"])
def test_a_mean_without_a_finished_run_says_of_how_many_runs_it_is(tmp_path, capsys, third):
    for seed, measures in enumerate([{"valid/fvu": 0.2}, {"valid/fvu": 0.4}, third]):
        run(tmp_path / f"seed={seed}", {**measures, "valid/saturated_fraction": 0.5}, seed=seed)
    _, row, *more = lines(tmp_path, capsys)
    assert row.split() == ["3", "0.30", "±", "0.14", "over", "2", "of", "3", "0.5000", "±", "0"]
    assert more[0] == "over k of n: the mean of k values; those of the other finished runs are not finite or missing"
    groups = group_runs(read_runs(tmp_path))
    table = configurations_table(groups, ["seed"])
    assert dict(zip(table.head, table.rows[0], strict=True)) == {
        "configuration": "all runs",
        "n": "3",
        "valid fvu ± 95 %": "0.30 (0.20, 0.40) over 2 of 3",
        "saturated ± 95 %": "0.5000\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0",
        "collapsed": "0",
        "not finished": "0",
    }
    assert "Over k of n: the mean of k values;" in interval_note(groups)
    written = {row["measure"]: row for row in csv.DictReader(groups_csv(groups, []).decode().splitlines())}
    assert (written["valid/fvu"]["n"], written["valid/fvu"]["finished"]) == ("2", "3")


def test_a_mean_of_all_finished_runs_says_nothing(sweep, capsys):
    assert not any(" of " in line for line in lines(sweep, capsys)[:4])
    assert "Over k of n" not in interval_note(group_runs(read_runs(sweep)))


def test_the_table_names_its_deviation(sweep, tmp_path, capsys):
    head, *_ = told = lines(sweep, capsys)
    assert "valid fvu" in head
    assert any(
        line.startswith("±: standard deviation over the seeds (page: 95 % interval); every run: ") for line in told
    )
    run(tmp_path / "one" / "seed=0", {"valid/fvu": 0.5})
    assert not {"±", "±:"} & {*" ".join(lines(tmp_path / "one", capsys)).split()}


def test_columns_are_in_the_typed_order(tmp_path, capsys):
    for alpha in (0, 1):
        for act in ("relu", "tanh"):
            run(tmp_path / f"{act}{alpha}", {"valid/fvu": 0.5}, act=act, alpha=alpha)
    assert [line.split()[:2] for line in lines(tmp_path, capsys)[:2]] == [["act", "alpha"], ["relu", "0"]]
    manifest.write_manifest(
        tmp_path, manifest.EMPTY_MANIFEST.with_command("satae-train", ["alpha=0,1", "act=relu,tanh"], ["alpha", "act"])
    )
    head, *rows = lines(tmp_path, capsys)
    assert head.split()[:2] == ["alpha", "act"]
    assert [row.split()[:2] for row in rows[:3]] == [["0", "relu"], ["0", "tanh"], ["1", "relu"]]


def test_each_failure_is_listed_with_its_exit_code_and_reason(sweep, capsys):
    told = lines(sweep, capsys)
    assert told[4].split() == ["failed", "exit", "code", "why"]
    assert told[5].split(maxsplit=2) == ["alpha=0.1,seed=1", "1", "the loss is nan"]


def test_unfinished_runs_are_counted_with_the_command_that_resumes(sweep, capsys):
    run(sweep / "alpha=0.2,seed=0", status="interrupted", alpha=0.2)
    *_, last = lines(sweep, capsys, "alpha=0.2,seed=0", "alpha=0.3,seed=0", "alpha=0.4,seed=0")
    assert last.startswith("1 was interrupted and 2 have not started; resume with: satae-train sweep=")


def test_a_finished_sweep_prints_no_command(sweep, capsys):
    assert not any("resume with" in line for line in lines(sweep, capsys))


def test_the_csv_file_has_a_row_for_each_run_with_its_choices(sweep):
    assert [
        (row["run"], row["status"], row["exit_code"], row["alpha"], row["valid/fvu"]) for row in csv_rows(sweep)
    ] == [
        ("alpha=0.0,seed=0", "finished", "0", "0.0", "0.2"),
        ("alpha=0.0,seed=1", "finished", "0", "0.0", "0.4"),
        ("alpha=0.1,seed=0", "finished", "0", "0.1", "0.5"),
        ("alpha=0.1,seed=1", "failed", "1", "0.1", ""),
    ]


def test_an_unreadable_run_is_listed_beside_the_others(sweep, capsys):
    whole = lines(sweep, capsys)
    run(sweep / "torn", alpha=0.5)
    (sweep / "torn" / "config.yaml").write_text("[")
    told = lines(sweep, capsys)
    (line,) = [line for line in told if line not in whole]
    assert line.startswith("torn: config.yaml: is not a configuration")
    assert [row["status"] for row in csv_rows(sweep) if row["run"] == "torn"] == ["unreadable"]


def test_a_nan_metric_is_not_a_collapse(tmp_path, capsys):
    for seed, collapsed in enumerate([0.0, 1.0, None]):
        run(tmp_path / f"{seed}", {"valid/fvu": 1.0, "valid/collapsed": collapsed}, seed=seed)
    head, row, *_ = lines(tmp_path, capsys)
    assert (head.split()[-1], row.split()[-1]) == ("collapsed", "1")


def test_no_csv_cell_is_a_formula(tmp_path):
    run(tmp_path / "=1+1", {"valid/fvu": None}, tag="=1+1", lr=-0.5)
    (row,) = csv_rows(tmp_path)
    assert [row[key] for key in ("run", "tag", "lr", "valid/fvu")] == ["'=1+1", "'=1+1", "-0.5", ""]


def test_an_empty_sweep_prints_nothing(tmp_path, capsys):
    assert lines(tmp_path, capsys) == []


def test_a_folder_without_a_run_is_skipped(sweep):
    (sweep / "report").mkdir()
    assert len(list(read_runs(sweep))) == 4


def test_large_numbers_are_printed_as_powers_of_ten(tmp_path, capsys):
    for seed, (fvu, dead) in enumerate([(1.7e308, 1e300), (-1.7e308, 1e300)]):
        run(tmp_path / f"{seed}", {"valid/fvu": fvu, "valid/dead_fraction": dead}, seed=seed)
    _, row, *_ = lines(tmp_path, capsys)
    assert row.split()[1:8] == ["0", "±", "too", "large", "1.000e+300", "±", "0"]


@pytest.mark.parametrize(("width", "tables"), [(30, 6), (80, 2), (140, 1)])
def test_no_number_is_wrapped_and_what_has_no_room_follows_below(tmp_path, capsys, monkeypatch, width, tables):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for act in ("relu", "satlin_with_a_long_name"):
        for seed in range(3):
            values = {metric: 1.1 + 0.03 * seed for metric in TABLE_METRICS}
            options = {"act": act, "seed": seed, "arch.widths": [512, 64] if act == "relu" else [64, 8]}
            run(tmp_path / f"{act}{seed}", values, **options)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines(tmp_path, capsys)))
    assert text.count("1.130 ± 0.030") == 2 * len(TABLE_METRICS)
    table = text.partition("\n±")[0]
    heads = [line for line in table.splitlines() if any(column_title(metric) in line for metric in TABLE_METRICS)]
    assert len(heads) == tables
    assert all(column_title(metric) in table for metric in TABLE_METRICS)
    assert "valid fvu" in heads[0]
    assert "saturated" in heads[0 if width > 30 else 1]
    if width > 30:
        assert max(map(len, table.splitlines())) <= width


def test_many_options_leave_no_metric_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    options = ["alpha", "act", "arch.widths", "noise.level", "optim.lr", "batch_size"]
    for place in range(2):
        values = {metric: 0.5 + place / 10 for metric in TABLE_METRICS}
        run(tmp_path / f"{place}", values, **dict.fromkeys(options, place + 1.5))
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines(tmp_path, capsys)))
    assert [text.count(number) for number in ("0.5000", "0.6000")] == [len(TABLE_METRICS)] * 2
    assert all(column_title(metric) in text for metric in TABLE_METRICS)


@pytest.mark.parametrize("status", ["saturated", "collapsed", "finished "])
def test_an_unknown_status_has_a_column_of_its_own(tmp_path, capsys, status):
    run(tmp_path / "a", dict.fromkeys(TABLE_METRICS, 0.5) | {"valid/collapsed": 1.0}, alpha=1)
    run(tmp_path / "b", status=status, alpha=2)
    head, first, second, *_ = lines(tmp_path, capsys)
    assert head.split()[-2:] == ["collapsed", status.split()[-1]]
    assert first.split()[-1] == second.split()[-1] == "1"
    assert second.split()[:3] == ["2", "0", "-"]


def test_collapsed_runs_are_counted_once_for_each_seed(tmp_path, capsys):
    for threads in (1, 2):
        values = {"valid/fvu": 1.0, "valid/collapsed": 1.0}
        run(tmp_path / f"{threads}", values, seed=0, threads=threads)
    told = lines(tmp_path, capsys)
    assert (told[0].split()[-1], told[1].split()[-1]) == ("collapsed", "1")
    assert any(line.startswith("warning: 1 of 1 finished run collapsed: ") for line in told)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((4.2e-4, 3.9e-4, 4.5e-4), "0.000420 ± 0.000030"),
        ((4.2e-9, 3.9e-9, 4.5e-9), "4.200e-09 ± 3e-10"),
        ((0.5, 0.5, 0.5 + 3e-9), "0.5000 ± 1.7e-09"),
        ((0.0, 0.0, 0.0), "0 ± 0"),
        ((41_000.0, 43_000.0, 42_000.0), "42000 ± 1000"),
    ],
)
def test_numbers_keep_their_significant_digits(tmp_path, capsys, values, shown):
    for seed, value in enumerate(values):
        run(tmp_path / f"{seed}", {"valid/fvu": value}, seed=seed)
    assert shown in lines(tmp_path, capsys)[1]


def test_collapsed_runs_are_explained_once(sweep, capsys):
    assert not any(line.startswith("warning: ") for line in lines(sweep, capsys))
    for seed in (2, 3):
        run(sweep / f"alpha=0.1,seed={seed}", {"valid/fvu": 1.0, "valid/collapsed": 1.0}, alpha=0.1, seed=seed)
    (told,) = [line for line in lines(sweep, capsys) if line.startswith("warning: ")]
    assert told.startswith("warning: 2 of 5 finished runs collapsed: valid fvu is high (0.99 or more: ")
