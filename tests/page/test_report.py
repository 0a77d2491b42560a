"""The report: what it says is what the runs say, and nothing from a run directory can do anything on the page."""

import csv
import io
import json
import math
import os
import re
import subprocess
import sys
from itertools import pairwise
from unittest import mock

import made
import program
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page
from program import files

from satae import report as command
from satae.config import ConfigError
from satae.page import figures, sources
from satae.page.tables import MAX_LAYERS
from satae.page.writing import write_report
from satae.plots.charts import draw_chart
from satae.plots.style import INK
from satae.sweeps import manifest
from satae.sweeps.aggregate import SeedStatistics, group_runs, varying_keys
from satae.sweeps.csv_files import STATISTICS_COLUMNS, groups_csv
from satae.sweeps.results import read_run
from satae.sweeps.series import MAX_SERIES, compare, spread_evenly
from satae.sweeps.table import print_sweep
from satae.sweeps.text import NOTHING, format_change, format_duration, format_number, format_statistics
from satae.training.metric_titles import FVU, SATURATED, TOTAL

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>$\\frac{\u202e\0"
KNOWN = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "nav",
        "a",
        "h1",
        "p",
        "main",
        "section",
        "h2",
        "h3",
        "ul",
        "li",
        "strong",
        "div",
        "figure",
        "figcaption",
        "svg",
        "g",
        "defs",
        "path",
        "rect",
        "use",
        "text",
        "clippath",
        "tspan",
        "img",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "pre",
        "code",
        "dl",
        "dt",
        "dd",
        "details",
        "summary",
        "footer",
    ]
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return made.sweep(tmp_path_factory.mktemp("report") / "first")


@pytest.fixture(scope="module")
def page(sweep):
    return Page(write_report([sweep]))


def rows(path):
    return [*csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""))]


def typed(*words):
    return program.typed(command.main, "satae-report", *words)


def planned(folder):
    runs = sources.collect_runs([folder]).runs
    return compare(group_runs(runs), varying_keys([run.choices for run in runs]))


# what it says


def test_the_numbers_on_the_page_are_those_of_the_groups(sweep, page):
    groups = group_runs(sources.collect_runs([sweep]).runs)
    configurations = page.tables[0]
    assert configurations[0][:4] == ["act", "alpha", "n", "valid fvu ± 95 %"]
    assert len(configurations) == 1 + len(groups) == 9
    for group, row in zip(groups, configurations[1:], strict=True):
        assert row[:2] == [group.values["act"], f"{group.values['alpha']:g}"]
        assert row[2:5] == [
            "3",
            format_statistics(group.statistics(FVU)),
            format_statistics(group.statistics(SATURATED)),
        ]


def test_at_most_six_layers_have_a_column_with_a_short_title(tmp_path):
    layers = ["long" * 1000, *(f"layer{number}" for number in range(2, 8))]
    metrics = {FVU: 0.5, SATURATED: 0.5} | {f"{SATURATED}/{layer}": 0.25 for layer in layers}
    made.run(tmp_path / "one", metrics)
    head, *_ = Page(write_report([tmp_path])).tables[0]
    shown = [title for title in head if title.startswith("in ")]
    assert len(shown) == MAX_LAYERS == 6
    assert shown[1:] == [f"in layer{number}" for number in range(2, 7)]
    assert shown[0].startswith("in longlong")
    assert len(shown[0]) <= 40
    written = {row["measure"] for row in rows(tmp_path / "report" / "groups.csv")}
    assert {f"{SATURATED}/{layer}" for layer in layers} <= written


def test_configurations_list_their_options_in_the_typed_order(tmp_path):
    made.sweep(tmp_path)
    manifest.write_manifest(
        tmp_path,
        manifest.EMPTY_MANIFEST.with_command("satae-train", ["alpha=0,1", "act=relu,satlin"], ["alpha", "act", "seed"]),
    )
    page = Page(write_report([tmp_path]))
    assert page.tables[0][0][:2] == ["alpha", "act"]
    assert rows(tmp_path / "report" / "groups.csv")[0]["configuration"] == "alpha=0,act=relu"
    assert "They differ in alpha (0, 0.01, 0.1, 1), act (relu, satlin) and seed (0, 1, 2)." in page.seen()


def test_the_saturated_fraction_of_each_layer_is_beside_that_of_all(tmp_path):
    for seed in range(3):
        layers = {f"{SATURATED}/layer{n}": 0.1 * n + 0.01 * seed for n in (1, 2)}
        made.whole(tmp_path / f"{seed}", {FVU: 0.3, SATURATED: 0.15 + 0.01 * seed, **layers}, seed=seed)
    page = Page(write_report([tmp_path]))
    head, row = page.tables[page.titles.index("Configurations")]
    place = head.index("saturated ± 95 %")
    assert head[place + 1 : place + 3] == ["in layer1 ± 95 %", "in layer2 ± 95 %"]
    assert [cell.partition("\N{NO-BREAK SPACE}")[0] for cell in row[place : place + 3]] == ["0.160", "0.110", "0.210"]
    assert not any(title.startswith("in layer") for title in page.tables[page.titles.index("Runs")][0])


def test_csv_files_hold_the_numbers_of_the_runs(sweep, page):
    assert len(page.tables[1]) == 1 + 24
    groups = {group.name: group for group in group_runs(sources.collect_runs([sweep]).runs)}
    written = rows(sweep / "report" / "groups.csv")
    assert len(written) == 8 * 5
    for row in written:
        spread = groups[row["configuration"]].statistics(row["measure"].removeprefix("final/"))
        is_measured = row["measure"] not in ("valid/collapsed", "final/wall_s")  # these two have no interval
        columns = STATISTICS_COLUMNS if is_measured else STATISTICS_COLUMNS[:3]
        assert [float(row[key]) for key in columns] == [
            *spread[:4],
            spread.mean - spread.margin,
            spread.mean + spread.margin,
        ][: len(columns)]
    by_name = {row["run"]: row for row in rows(sweep / "report" / "runs.csv")}
    for run in sources.collect_runs([sweep]).runs:
        row = by_name[run.name]
        assert (row["status"], row["exit_code"], row["act"]) == ("finished", "0", run.choices["act"])
        assert {float(row["alpha"]), float(row["final/alpha"])} == {run.choices["alpha"]}
        assert float(row[FVU]) == run.metrics[FVU]


def test_the_summary_states_a_change_only_where_the_seeds_support_it(sweep, page, tmp_path):
    (line,) = [line for line in planned(sweep).series if line.label == "relu"]
    change = format_change(line.points[-1].change(line.points[0], FVU)).replace("\N{NO-BREAK SPACE}", " ")
    assert "24 runs of 8 configurations: 24 finished." in page.seen()
    assert "relu. From alpha=0 to 1, the validation fvu rises from 0.3" in page.seen()
    assert f"{change} at 1; n = 3." in page.seen()
    for seed in range(3):
        for alpha, fvu in ((0.0, 0.3), (1.0, 0.3 + 0.01 * (-1) ** seed)):
            made.whole(tmp_path / f"{alpha}{seed}", {FVU: fvu}, alpha=alpha, seed=seed)
    assert "the validation fvu changes from 0.3" in (told := Page(write_report([tmp_path])).seen())
    assert "at 1 (may be chance); n = 3." in told


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_no_change_and_no_interval_is_stated(tmp_path, seeds):
    seen = Page(write_report([made.sweep(tmp_path, seeds=range(seeds))])).seen()
    assert "With fewer than 3 seeds in common, a change cannot be told from chance." in seen
    assert (
        f"8 configurations have {'a single seed and so no interval' if seeds == 1 else 'fewer than 3 seeds'}." in seen
    )
    assert ("One run each: no intervals." in seen) == (seeds == 1)
    assert ("Bars: for two seeds, their range." in seen) == (seeds == 2)
    assert ("Two seeds have no interval" in seen) == (seeds == 2)
    assert "± is half" not in seen
    assert "±" not in "".join(
        cell for rows in Page(tmp_path / "report" / "index.html").tables for row in rows for cell in row
    )
    assert " rises " not in seen or seeds > 1


def test_the_note_on_intervals_counts_the_seeds_of_each_metric(tmp_path):
    made.sweep(tmp_path, acts=["relu"], seeds=range(3))
    assert "Two seeds have no interval" not in Page(write_report([tmp_path])).seen()
    for path in tmp_path.glob("*seed=2*/metrics.json"):
        path.write_text(path.read_text().replace('"valid/fvu"', '"valid/other"'))
    assert "Two seeds have no interval" in Page(write_report([tmp_path])).seen()


def test_a_seed_that_ran_twice_counts_once(tmp_path):
    for name in ("a", "b"):
        made.sweep(tmp_path / name, acts=["relu"])
    seen = Page(write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "both")).seen()
    assert "12 runs have the same configuration and seed as another" in seen
    assert {row["n"] for row in rows(tmp_path / "both" / "groups.csv")} == {"3"}


def test_commands_come_from_the_manifest_or_else_from_the_runs(sweep, page, tmp_path):
    assert "satae-train -m alpha=... act=... seed=..." in page.seen()
    made.whole(tmp_path / "0")
    manifest.write_manifest(
        tmp_path, manifest.Manifest(["satae-train -m seed=0", "satae-train -m seed=1"], [["seed=0"], ["seed=1"]], [])
    )
    told = Page(write_report([tmp_path])).content
    assert "<code>satae-train -m seed=0</code>" in told
    assert "<code>satae-train -m seed=1</code>" in told
    assert "alpha=..." not in told


@pytest.mark.parametrize("content", ["3", "{}", "[" * 100_000, None])
def test_an_invalid_manifest_is_ignored(tmp_path, content):
    made.whole(tmp_path / "0")
    if content is None:
        os.mkfifo(tmp_path / "sweep.json")
    else:
        (tmp_path / "sweep.json").write_text(content)
    assert "satae-train -m alpha=... act=... seed=..." in Page(write_report([tmp_path])).seen()


# runs that did not end well


def test_unfinished_runs_are_listed_with_reason_and_log(tmp_path):
    made.sweep(tmp_path, acts=["relu"])
    failed = {"status": "failed", "exit_code": 3, "error": "NonFiniteLoss: nan at step 12"}
    (made.whole(tmp_path / "bad", {}, failed, seed=7) / "satae-train.log").write_text("why")
    made.whole(tmp_path / "cut", {}, {"status": "interrupted", "exit_code": 130}, seed=8)
    made.whole(tmp_path / "on", {}, {"status": "running", "exit_code": None, "ended": None}, seed=9)
    (made.whole(tmp_path / "bare", seed=5) / "config.yaml").unlink()
    (made.whole(tmp_path / "torn", seed=6) / "metrics.json").write_text("{")
    page = Page(write_report([tmp_path]))
    seen = page.seen()
    assert seen.count("17 runs of 4 configurations: 12 finished, 2 not readable,") == 1
    assert all(how in seen for how in ("1 failed", "1 interrupted", "1 still running, or killed"))
    (table,) = [table for table in page.tables if "reason" in table[0]]
    found = {row[0]: row[1:] for row in table[1:]}
    assert found["bad"] == ["failed", "3", "nan at step 12", "bad/satae-train.log"]
    assert found["cut"][:2] == ["interrupted", "130"]
    assert found["on"][2] == "still running, or killed"
    assert found["bare"] == ["unreadable", "–", "config.yaml: cannot be read (No such file or directory)", "–"]
    assert found["torn"][2].startswith("metrics.json: cannot be read")
    assert {row["run"] for row in rows(tmp_path / "report" / "runs.csv")} >= {"bare", "torn", "bad"}


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    made.sweep(tmp_path, acts=["relu"])
    made.whole(tmp_path / "nan", {FVU: None, SATURATED: math.inf, "valid/collapsed": 1.0}, seed=3)
    page = Page(write_report([tmp_path]))
    assert "1 finished run collapsed" in page.seen()
    assert "Hollow: a run collapsed." in page.seen()
    assert not re.search(r"\b(nan|inf)\b", page.seen())
    (row,) = [
        row for row in rows(tmp_path / "report" / "groups.csv") if row["measure"] == FVU and row["alpha"] == "0.1"
    ]
    assert row["n"] == "3"


def test_a_configuration_counts_only_seeds_with_a_finite_number(tmp_path):
    for seed, fvu in enumerate([0.2, None, 0.4, None]):
        made.whole(tmp_path / f"{seed}", {FVU: fvu, SATURATED: 0.5}, seed=seed)
    page = Page(write_report([tmp_path]))
    head, row = page.tables[page.titles.index("Configurations")]
    told = format_statistics(SeedStatistics.from_values([0.2, 0.4]))
    assert row[head.index("n") :][:2] == ["4", f"{told} over 2 of 4"]
    assert "1 configuration has fewer than 3 seeds." in page.seen()
    assert "2 finished runs have no finite validation fvu." in page.seen()


def test_finished_runs_without_a_reconstruction_error_count_as_finished(tmp_path):
    for seed in range(3):
        made.whole(tmp_path / f"{seed}", {FVU: None, SATURATED: 0.5}, seed=seed)
    seen = Page(write_report([tmp_path])).seen()
    assert "3 finished runs have no finite validation fvu." in seen
    assert "no finished run" not in seen
    assert "fewer than 3 seeds" not in seen


def test_failed_runs_alone_give_a_report_without_figures(tmp_path):
    made.whole(tmp_path / "0", {}, {"status": "failed", "exit_code": 1, "error": "it"})
    page = Page(write_report([tmp_path]))
    assert "No finished run has a reconstruction error." in page.seen()
    assert page.all("svg") == page.all("img") == []


def test_only_the_report_of_a_single_run_says_what_was_trained_and_shows_pictures_side_by_side(tmp_path, page):
    made.whole(tmp_path / "run")
    single = Page(write_report([tmp_path / "run"]))
    for shown, is_single in ((single, True), (page, False)):
        assert ("Trained: data digits" in shown.seen()) == is_single
        assert any(of.get("class") == "galleries" for of in shown.all("div")) == is_single


def test_a_single_run_gets_a_report_in_its_own_folder(tmp_path):
    run = made.whole(tmp_path / "run")
    assert write_report([run]) == run / "report" / "index.html"
    page = Page(run / "report" / "index.html")
    seen = page.seen()
    assert "1 run: finished." in seen
    assert "Trained: data digits, activation relu, alpha 0.1, gaussian noise of 0.3, epochs 2." in seen
    assert "A single run says nothing about other seeds" in seen
    assert "all runs" not in seen
    assert "of each configuration" not in seen
    assert page.tables[0][1][0] == "run"  # the configuration is named by its run
    assert len(page.all("img")) == 2
    assert page.all("svg") == []


def test_what_was_assumed_and_warned_of_is_shown_with_the_number_of_runs(tmp_path):
    both = {"assumptions": ["cut to the middle"], "warnings": ["cut to the middle", "batch_size is large"]}
    for n, notes in enumerate([both, {"assumptions": ["cut to the middle"]}]):
        made.whole(tmp_path / "sweep" / f"seed={n}", record=notes, seed=n)
    page = Page(write_report([tmp_path / "sweep"]))
    items = page.seen().partition("warnings at the start:")[2].split()[:9]
    assert " ".join(items) == "cut to the middle batch_size is large (1 run)"


def epochs(*losses, **more):
    return [
        {"epoch": n, "train/total": loss, "valid/total": loss, SATURATED: 0.5, **more} for n, loss in enumerate(losses)
    ]


@pytest.mark.parametrize("record", [{}, {"status": "interrupted"}])
def test_the_report_of_a_single_run_shows_its_epochs(tmp_path, record):
    run = made.run(tmp_path / "run", {FVU: 0.1, SATURATED: 0.5}, record=record, history=epochs(2.0, 1.0, 0.5))
    page = Page(write_report([run]))
    assert len(page.all("svg")) == 1
    (box,) = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert "validation total loss" in box["aria-label"]
    assert {"course.png", "course.svg"} <= {path.name for path in (run / "report").iterdir()}
    assert {name for name, _ in page.tags} <= KNOWN


@pytest.mark.parametrize(
    "history",
    [
        epochs(1.0),
        epochs(None, 10**400, -(10**400), math.inf, 1),
        epochs(*range(5000)),
        [{"epoch": 10**400}] * 2,
        [{"epoch": 1}] * 2,
    ],
)
def test_odd_metrics_of_epochs_do_not_break_the_report(tmp_path, history):
    assert write_report([made.run(tmp_path / "run", {}, history=history)]).is_file()


@pytest.mark.parametrize(
    "values",
    [
        (1e308, -1e308),
        (-1e308, -1e308),
        (sys.float_info.max,) * 2,
        (1e-320, 5e-324),
        (math.inf, -math.inf),
        (10**400, 1),
    ],
    ids=str,
)
def test_metrics_at_the_ends_of_float64_end_in_a_report_and_a_table(tmp_path, capsys, values):
    for alpha in (0.0, 0.1):
        for seed, value in enumerate(values):
            history = [{"epoch": epoch, FVU: value, TOTAL: value} for epoch in (1, 2, 3)]
            run = tmp_path / f"alpha={alpha:g},seed={seed}"
            made.run(run, {FVU: value, SATURATED: value}, alpha=alpha, seed=seed, history=history)
    outcome = typed(str(tmp_path))
    assert (outcome.code, outcome.out) == (0, f"{tmp_path}/report/index.html\n")
    assert re.fullmatch(r"(warning: not drawn: [a-z_, ]+ \((Overflow|Value)Error: [^\n]+\n)?", outcome.err)
    print_sweep(tmp_path, made.read_all(tmp_path), sorted(tmp_path.glob("alpha=*")))
    assert "finished" in capsys.readouterr().out


@given(st.dictionaries(st.text(max_size=8), st.none() | st.floats() | st.integers() | st.text(max_size=4), max_size=3))
@settings(max_examples=8)
def test_odd_metrics_do_not_break_the_report(tmp_path_factory, measures):
    folder = tmp_path_factory.mktemp("odd")
    made.whole(folder / "0", measures)
    made.whole(folder / "1", alpha=1.0)
    assert write_report([folder]).is_file()


def test_the_largest_numbers_do_not_break_the_report(tmp_path):
    for alpha in (0.0, 1.0):
        for seed, fvu in enumerate([1.7e308, 1.6e308, -1.7e308]):
            made.whole(tmp_path / f"{alpha}{seed}", {FVU: fvu, SATURATED: fvu}, alpha=alpha, seed=seed)
    assert "± too large" in Page(write_report([tmp_path])).seen()


# what varies


@pytest.mark.parametrize(
    ("varied", "x"),
    [
        ({"noise": [{"name": "gaussian", "level": level} for level in (0.1, 0.2, 0.4)]}, "noise.level"),
        ({"act": ["relu", "tanh", "satlin"]}, None),
        ({"alpha": [0.0, "x", None]}, None),
        ({"epochs": [1, 2], "alpha": [0.1, 0.2]}, "alpha"),
        ({"tag": [HOSTILE, f"{HOSTILE}2"], "epochs": [10, 1000]}, "epochs"),
    ],
)
def test_a_figure_goes_along_the_number_that_varies(tmp_path, varied, x):
    (first, values), *more = varied.items()
    for place, value in enumerate(values):
        for other in more[0][1] if more else [None]:
            choices = {first: value, **({more[0][0]: other} if more else {})}
            made.whole(tmp_path / f"{place}{other}", {FVU: 0.1 * place, SATURATED: 0.2}, **choices)
    assert planned(tmp_path).x == x
    page = Page(write_report([tmp_path]))
    assert len(page.all("svg")) == 3
    assert {name for name, _ in page.tags} <= KNOWN


@pytest.mark.parametrize(("acts", "levels"), [(3, 4), (17, 1), (4, 12)])
def test_many_lines_are_split_into_panels_or_reported_as_left_out(tmp_path, acts, levels):
    for act in range(acts):
        for level in range(levels):
            for alpha in (0.0, 1.0):
                noise = {"name": "gaussian", "level": level}
                made.whole(tmp_path / f"{act} {level} {alpha}", pictures=(), act=f"f{act}", noise=noise, alpha=alpha)
    found = planned(tmp_path)
    assert len(found.series) == acts * levels
    shown = sum(len(panel.series) for panel in found.panels)
    assert all(len(panel.series) <= MAX_SERIES for panel in found.panels)
    assert (shown < acts * levels) == bool(found.left_out)
    assert (f"{acts * levels - shown} of {acts * levels} lines are left out" in found.left_out) == bool(found.left_out)


def test_a_logarithmic_axis_has_a_place_for_zero(sweep):
    drawn = draw_chart(next(figures.sweep_charts(planned(sweep))))
    labels = re.findall(r">([^<>\s]+)</text>", drawn.svg)
    assert labels[:4] == ["0", "0.01", "0.1", "1"]
    assert "logarithmic; linear from 0 to 0.01" in drawn.svg


@given(st.lists(st.integers(), max_size=40), st.integers(1, 12))
def test_spread_evenly_keeps_both_ends(items, most):
    found = spread_evenly(items, most)
    assert len(found) == min(len(items), most)
    if items:
        assert found[0] == items[0]
        assert found[-1] == items[-1] or most == 1


# the page


def test_the_page_loads_nothing_from_elsewhere(page):
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    addresses += [value for _, attributes in page.tags for key, value in attributes.items() if key == "xlink:href"]
    assert addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not re.search(r"@import|url\((?!#)", page.content)
    assert {name for name, _ in page.tags} <= KNOWN
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]


def test_identifiers_are_unique(page):
    found = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(found) == len({*found})


def test_pictures_and_figures_have_alternative_text(page):
    assert all(len(image["alt"]) > 20 for image in page.all("img"))
    drawings = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert len(drawings) == len(page.all("svg")) == 3
    assert all("alpha" in box["aria-label"] and "relu, satlin" in box["aria-label"] for box in drawings)


def test_the_page_is_accessible_html(page):
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
    levels = [int(name[1]) for name, _ in page.tags if name in ("h1", "h2", "h3")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {cell["scope"] for cell in page.all("th")} == {"col", "row"}
    for feature in ("prefers-color-scheme: dark", "@media print", "max-width: 36rem"):
        assert feature in page.content


def test_figures_take_the_colors_of_the_page_but_files_keep_theirs(sweep, page):
    assert INK not in page.content
    assert "currentColor" in page.content
    for name in ("valid_fvu", "valid_saturated_fraction", "trade_off"):
        assert INK in (sweep / "report" / f"{name}.svg").read_text()
        assert (sweep / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_hostile_text_in_a_run_directory_is_only_shown(tmp_path):
    record = {"command": HOSTILE, "error": HOSTILE, "status": HOSTILE, "device": HOSTILE, "threads": HOSTILE}
    record |= {"versions": {HOSTILE: HOSTILE}, "sources": {"commit": HOSTILE}, "folder": HOSTILE, "started": HOSTILE}
    folder = tmp_path / "<script>alert(1)<"
    made.whole(folder / "<img src=x onerror=alert(1)>", {HOSTILE: 1.0}, record, tag=HOSTILE)
    made.whole(folder / "=1+1", {FVU: 0.1, SATURATED: 0.1, HOSTILE: 1.0}, act=HOSTILE, tag="$x^{")
    os.mkdir(os.fsencode(folder) + b"/\xff")
    (folder / os.fsdecode(b"\xff") / "run.json").write_text("[]")
    page = Page(write_report([folder]))
    assert {name for name, _ in page.tags} <= KNOWN
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert "alert(1)" in page.seen()
    assert "\u202e" not in page.content
    assert "'=1+1" in [row["run"] for row in rows(folder / "report" / "runs.csv")]


def test_invalid_pictures_are_not_shown(tmp_path):
    for place, content in enumerate([b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + b"x" * 100, b"\x89PNG" * 2**19]):
        run = made.whole(tmp_path / f"{place}", alpha=float(place))
        (run / "pictures" / "reconstructions.png").write_bytes(content)
    linked = made.whole(tmp_path / "3", alpha=3.0) / "pictures"
    (linked / "reconstructions.png").unlink()
    (linked / "reconstructions.png").symlink_to(linked / "encoder_filters.png")
    os.mkfifo(made.whole(tmp_path / "4", pictures=(), alpha=4.0) / "pictures" / "reconstructions.png")
    page = Page(write_report([tmp_path]))
    assert len(page.all("img")) == 4
    assert page.seen().count("reconstructions.png of ") == 5


def test_pictures_of_different_inputs_are_marked(tmp_path, page):
    assert "at the same validation inputs, with noise of the same random numbers." in page.seen()
    for level in (0.1, 0.2):
        made.whole(tmp_path / f"{level}", noise={"name": "gaussian", "level": level})
    seen = Page(write_report([tmp_path])).seen()
    assert "Their inputs and noise are not the same: the runs differ in noise." in seen
    assert "The runs differ in noise, and the losses, fvu and saturation of each are of its own inputs" in seen
    assert "The runs differ in" not in page.seen()


def test_pictures_are_limited_to_a_few_configurations(tmp_path):
    made.sweep(tmp_path, acts=["relu", "tanh", "satlin"], alphas=range(9), seeds=[0])
    page = Page(write_report([tmp_path]))
    assert len(page.all("img")) == 24
    assert "15 of 27 configurations are left out." in page.seen()
    for alpha in (0, 8):
        assert f"act=relu, alpha={alpha}" in page.seen()


def test_a_long_table_is_folded(tmp_path):
    made.sweep(tmp_path, acts=["relu"], alphas=[0.0, 0.1], seeds=range(31))
    assert len(Page(write_report([tmp_path])).all("details")) == 1


# the folder


def test_a_report_replaces_an_earlier_one_and_leaves_no_other_files(tmp_path):
    made.whole(tmp_path / "0")
    write_report([tmp_path])
    before = files(tmp_path)
    (tmp_path / "report" / "trade_off.svg").touch()  # as when more runs were there
    write_report([tmp_path])
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["my.png", "runs.svg", "index.csv", "notes"])
def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path, name):
    made.whole(tmp_path / "0")
    mine = write_report([tmp_path]).with_name(name)
    mine.write_text("mine")
    with pytest.raises(ConfigError, match=f"holds {name}, which is not part of a report"):
        write_report([tmp_path])
    assert mine.read_text() == "mine"


def test_an_earlier_report_survives_a_failure(tmp_path, monkeypatch):
    made.whole(tmp_path / "0")
    page = write_report([tmp_path]).read_text()
    before = files(tmp_path)
    monkeypatch.setattr("satae.page.writing.groups_csv", mock.Mock(side_effect=OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        write_report([tmp_path])
    assert files(tmp_path) == before
    assert (tmp_path / "report" / "index.html").read_text() == page


def test_several_runs_share_a_numbered_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [str(made.whole(tmp_path / name, seed=place)) for place, name in enumerate("ab")]
    assert typed(*names) == (0, "report-1/index.html\n", "")
    assert typed(*names) == (0, "report-2/index.html\n", "")
    assert typed(*names, "out=mine") == (0, "mine/index.html\n", "")
    assert "2 runs of 1 configuration: 2 finished." in Page(tmp_path / "mine" / "index.html").seen()


def test_a_report_does_not_import_torch(tmp_path):
    made.whole(tmp_path / "0")
    program = (
        "import sys; from pathlib import Path; from satae.page.writing import write_report;"
        " assert 'matplotlib' not in sys.modules; write_report([Path(sys.argv[1])]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program, str(tmp_path)], check=True)


def test_numbers_are_formatted_with_their_intervals():
    assert format_statistics(SeedStatistics(3, 0.32094, 0.1, 0.00723)).split("\N{NO-BREAK SPACE}") == [
        "0.3209",
        "±",
        "0.0072",
    ]
    assert format_statistics(SeedStatistics(1, 0.32094, math.nan, math.nan)) == "0.3209"
    assert format_statistics(SeedStatistics.from_values([0.53, 0.63])) == "0.580 (0.530, 0.630)"
    assert format_statistics(SeedStatistics(3, 0.00042, 1.0, 0.00003)).split() == ["0.000420", "±", "0.000030"]
    assert format_statistics(SeedStatistics(3, 4.2e-9, 1.0, 3e-10)).split() == ["4.200e-09", "±", "3e-10"]
    assert format_statistics(SeedStatistics.from_values([1.414e-05, 0])) == "7.070e-06 (0, 1.414e-05)"
    assert format_statistics(SeedStatistics.from_values([0.0999999, 0.1])).endswith(" (0.0999999, 0.100000)")
    assert format_statistics(SeedStatistics.from_values([-4e-9, -5e-9])) == "−4.500e-09 (−5.000e-09, −4.000e-09)"
    assert format_statistics(SeedStatistics.from_values([-0.2, -0.4])) == "−0.30 (−0.40, −0.20)"
    assert format_statistics(SeedStatistics.from_values([4e-9, 5e-9])) == "4.500e-09 (4.000e-09, 5.000e-09)"
    assert format_statistics(SeedStatistics.from_values([4.2e-300, 5.2e-300])).startswith("4.700e-300 (4.200e-300")
    assert format_number(12_345.6) == "12346"
    assert format_statistics(SeedStatistics(0, math.nan, math.nan, math.nan)) == NOTHING
    large = format_statistics(SeedStatistics(2, 1.5e308, math.inf, math.inf)).replace("\N{NO-BREAK SPACE}", " ")
    assert large == "1.500e+308 ± too large"
    assert [format_duration(seconds) for seconds in (4.21, 200, 3725)] == ["4.2 s", "3 min 20 s", "1 h 02 min"]


def test_synthetic_runs_of_the_benchmark_are_readable(tmp_path):
    from benchmarks.report_size import write_runs

    write_runs(tmp_path, 60)
    found = sources.collect_runs([tmp_path])
    assert (len(found.runs), found.unreadable) == (60, [])
    assert json.loads((found.runs[0].directory / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    ("metric", "values", "ends"),
    [
        ("valid/collapsed", (0.0, 1.0, 0.0), None),
        ("wall_s", (1.0, 9.0, 2.0), None),
        ("samples_per_s", (1.0, 9.0, 2.0), None),
        ("valid/fvu", (0.0, 1.0, 0.1), (0.0, math.inf)),
        ("valid/dead_fraction/layer1", (0.0, 1.0, 0.1), (0.0, 1.0)),
        ("train/saturated_fraction", (0.0, 1.0, 0.1), (0.0, 1.0)),
        ("encoder_norm/layer1", (0.0, 1.0, 0.1), (0.0, math.inf)),
        ("valid/psnr", (0.0, 1.0, 0.1), (-math.inf, math.inf)),
    ],
)
def test_an_interval_in_the_file_of_groups_ends_where_no_value_is_possible(tmp_path, metric, values, ends):
    runs = [made.whole(tmp_path / f"{seed}", {metric: value}, seed=seed) for seed, value in enumerate(values)]
    (row,) = csv.DictReader(groups_csv(group_runs([*map(read_run, runs)]), []).decode().splitlines())
    found = [row[f"interval95_{name}"] for name in ("half", "low", "high")]
    if ends is None:
        assert found == ["", "", ""]
        return
    mean, half, low, high = map(float, [row["mean"], *found])
    assert (low, high) == (max(ends[0], mean - half), min(ends[1], mean + half))
    assert mean - half < 0 < 1 < mean + half  # the values vary enough to reach beyond


def test_sweeps_beside_single_runs_are_reported_as_left_out_unless_they_are_named(tmp_path):
    day = tmp_path / "day"
    made.whole(day / "run")
    first = made.sweep(day / "First", acts=("relu",), alphas=(0.1, 1.0), seeds=(0,))
    manifest.write_manifest(first, manifest.Manifest(["x"], [], []))
    made.whole(day / "more" / "run", seed=1)
    left_out = "left out: First (a sweep of 2 runs), more (1 run); name them too"
    assert left_out in typed(str(day)).out.splitlines()
    assert f"L{left_out[1:]}." in Page(day / "report" / "index.html").seen()
    out = f"out={tmp_path / 'both'}"
    assert "left out: more (1 run); name them too" in typed(*map(str, [day, first, day / "run"]), out).out.splitlines()
    assert "left out" not in typed(*map(str, [day, first, day / "more"]), out).out
    assert "left out" not in typed(*map(str, [day / "run", first]), out).out
