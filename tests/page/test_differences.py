"""The report tells runs apart: by their labels, side by side, by what was resumed, and by what was measured of them."""

import itertools

import made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import Page

from benchmarks import evaluated
from satae.evaluation.reported_evaluations import read_evaluations
from satae.page import figures, findings, sources, tables
from satae.page.writing import write_report
from satae.plots.charts import Curve, Panel, draw_panels
from satae.plots.style import PANEL_SIZE, SMALL_PANEL_SIZE
from satae.sweeps.aggregate import SeedStatistics, group_runs, varying_keys
from satae.sweeps.series import Series, compare, series_labels
from satae.sweeps.text import distinct_labels, format_number, format_statistics, with_short_values
from satae.training.metric_titles import FVU, SATURATED, SENSITIVITY

LONG = f"/data/{'a_long_folder/' * 10}{'x' * 60}/"  # more than 200 letters


def compared(folder):
    runs = sources.collect_runs([folder]).runs
    return compare(with_short_values(group_runs(runs)), varying_keys([run.choices for run in runs]))


def with_paths(folder, paths, alphas=(0.0, 1.0)):
    for place, (path, alpha) in enumerate(itertools.product(paths, alphas)):
        made.whole(folder / f"{place}", data={"name": "array", "path": path}, alpha=alpha, pictures=())
    return folder


# labels


@pytest.mark.parametrize("alphas", [(0.0, 1.0), (0.1,)], ids=["lines", "rows"])
def test_runs_that_differ_at_the_end_of_a_long_path_have_different_labels(tmp_path, alphas):
    names = ("first.npy", "second.npy", "third.npy")
    comparison = compared(with_paths(tmp_path, [LONG + name for name in names], alphas))
    for chart in figures.sweep_charts(comparison):
        for panel in chart.panels:
            labels = panel.row_names or [curve.label for curve in panel.curves if curve.label]
            assert len({*labels}) == 3
            assert all(name in label for name, label in zip(names, labels, strict=True))
    collection = sources.collect_runs([tmp_path])
    groups = with_short_values(group_runs(collection.runs))
    table = tables.configurations_table(groups, ["data.path"])
    cells = {row[table.head.index("data.path")] for row in table.rows}
    assert len(cells) == 3
    assert all(any(name in cell for cell in cells) for name in names)
    options = findings.varied_options(collection.runs, ["data.path"])
    assert all(name in options for name in names)


def test_panels_are_split_by_whole_values(tmp_path):
    for place, (path, act, alpha) in enumerate(itertools.product("ab", range(5), (0.0, 1.0))):
        data = {"name": "array", "path": f"{LONG}{path}"}
        made.whole(tmp_path / f"{place}", data=data, act=f"f{act}", alpha=alpha, pictures=())
    runs = sources.collect_runs([tmp_path]).runs
    comparison = compare(group_runs(runs), varying_keys([run.choices for run in runs]))
    assert [len(panel.series) for panel in comparison.panels] == [5, 5]


@given(st.lists(st.text("ab /", max_size=30) | st.text("ab", min_size=35, max_size=90), unique=True, max_size=12))
def test_labels_are_short_and_different(texts):
    labels = distinct_labels(texts, 40)
    assert [*labels] == texts
    assert len({*labels.values()}) == len(texts)
    assert all(len(label) <= 40 for label in labels.values())


def test_the_same_word_for_different_options_gets_the_names_of_the_options():
    assert series_labels([Series({"data.path": "x"}, []), Series({"data.root": "x"}, [])]) == [
        "data.path=x",
        "data.root=x",
    ]
    assert series_labels([Series({"act": "relu"}, []), Series({"act": "tanh"}, [])]) == ["relu", "tanh"]


def test_numbers_that_agree_in_six_digits_are_written_with_more(tmp_path):
    for place, rate in enumerate((0.12345671, 0.12345672)):
        made.whole(tmp_path / f"{place}", optim={"name": "adam", "lr": rate}, act=f"f{place}")
    assert len({group.name for group in group_runs(sources.collect_runs([tmp_path]).runs)}) == 2
    assert "0.12345671, 0.12345672" in findings.varied_options(sources.collect_runs([tmp_path]).runs, ["optim.lr"])


@pytest.mark.parametrize("legend", ["each panel", "all panels"])
@pytest.mark.parametrize("panels", [1, 2])
def test_long_labels_leave_the_figure_its_width_and_height(legend, panels):
    curves = [Curve([0, 1], [0, 1], f"{number} {'long label ' * 7}") for number in range(7)]
    size = PANEL_SIZE if legend == "each panel" else SMALL_PANEL_SIZE
    figure = draw_panels([Panel(curves, "x " * 60, "y", "title " * 20)] * panels, 2, size, legend)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    for ax in figure.axes:
        box = ax.get_window_extent()
        assert box.width / figure.dpi > 0.6 * width / panels
        assert box.height / figure.dpi > 0.45 * size[1]
        title = ax.title.get_window_extent()
        assert title.width < figure.dpi * width / panels
    for of in [*(ax.get_legend() for ax in figure.axes), *figure.legends]:
        if of is not None:
            assert of.get_window_extent().width <= figure.dpi * width * 1.02
    assert height < 3 * size[1] + 2


# a few runs


def course(shift, count=3):
    metrics = ("train/reconstruction", "valid/reconstruction", "train/saturated_fraction", SATURATED)
    return [{"epoch": epoch, **{name: shift + 1 / epoch for name in metrics}} for epoch in range(1, count + 1)]


def pair(folder):
    measured = [{FVU: 0.5, SATURATED: 0.25, SENSITIVITY: 0.125}, {FVU: 0.25, SATURATED: 0.75, SENSITIVITY: 0.125}]
    first = made.run(folder / "one" / "a", measured[0], history=course(0), act="relu", alpha=0.1)
    return first, made.run(folder / "two" / "b", measured[1], history=course(1, 4), act="satlin", alpha=1.0)


def test_two_runs_are_shown_side_by_side_with_their_courses_in_one_figure(tmp_path):
    page = Page(write_report([*pair(tmp_path)], tmp_path / "out"))
    head, *rows = page.tables[page.titles.index("Side by side")]
    assert head == ["", "one/a", "two/b", "difference"]
    found = {row[0]: row[1:] for row in rows}
    assert (found["act"], found["alpha"]) == (["relu", "satlin", ""], ["0.1", "1", ""])
    assert found["validation fraction of variance unexplained (fvu)"] == ["0.5000", "0.2500", format_number(-0.25)]
    assert found["validation saturated fraction"] == ["0.2500", "0.7500", "+0.5000"]
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"course.png"}


def test_the_shared_figure_has_a_color_for_each_run(tmp_path):
    runs = sources.collect_runs([*pair(tmp_path)]).runs
    (chart,) = figures.shared_course_charts({run.name: run for run in runs})
    for panel in chart.panels:
        drawn = [curve for curve in panel.curves if len(curve.x)]
        assert [len(curve.x) for curve in drawn] == [3, 3, 4, 4]
        assert [curve.label for curve in drawn] == ["a", "", "b", ""]
        assert len({curve.color for curve in drawn}) == 2
        assert {curve.label for curve in panel.curves if not len(curve.x)} == {"training", "validation"}
    short = runs[0]._replace(directory=made.run(tmp_path / "short", {}, history=course(0, 1)))
    (chart,) = figures.shared_course_charts({"short": short, "b": runs[1]})
    assert "Without two epochs that can be drawn: short." in chart.caption


def test_a_number_that_never_varies_alone_is_no_axis(tmp_path):
    made.whole(tmp_path / "0", act="relu", alpha=0.1)
    made.whole(tmp_path / "1", act="satlin", alpha=1.0)
    assert compared(tmp_path).x is None
    made.whole(tmp_path / "2", act="satlin", alpha=0.1)
    assert compared(tmp_path).x == "alpha"


# how runs were made


def test_resumed_runs_are_listed_with_command_and_earlier_device_and_threads(tmp_path):
    resumes = [
        {"at": "2026-01-31T13:00:00", "command": "satae-train resume=a", "before": {"device": "cuda", "threads": 4}},
        {"at": "2026-01-31T14:00:00", "command": "satae-train resume=a epochs=9", "before": "odd"},
        ["odd"],
    ]
    made.whole(tmp_path / "a", record={"resumed": resumes})
    made.whole(tmp_path / "b", seed=1)
    page = Page(write_report([tmp_path]))
    assert page.tables[page.titles.index("Resumed runs")] == [
        ["run", "resumed at", "with the command", "device before", "threads before"],
        ["a", "2026-01-31T13:00:00", "satae-train resume=a", "cuda", "4"],
        ["a", "2026-01-31T14:00:00", "satae-train resume=a epochs=9", "–", "–"],
        ["a", "–", "–", "–", "–"],
    ]


def test_evaluated_runs_are_counted_for_each_part(tmp_path):
    for seed in range(4):
        place = made.whole(tmp_path / f"{seed}", seed=seed, pictures=())
        columns = {"manifold": [["shuffled", 0.9, 0.8, 1.0, 9.0, 3.0, 9, 9]]}
        evaluated.write_part(place, "manifold", {}, columns)
        if seed < 3:
            rows = [["own", "code", "linf", 0.1, *[0.5] * 7, 9]]
            evaluated.write_part(place, "perturbation", {}, {"perturbation": rows})
    collection = sources.collect_runs([tmp_path])
    found = read_evaluations(collection.runs, group_runs(collection.runs), collection.name)
    counts = "manifold: 4 of 4 runs; perturbation: 3 of 4 runs"
    assert findings.evaluated_runs(collection, found) == f"satae-eval has not measured the same of all runs ({counts})."


# sensitivity, and models beside their twins


def sensitive(folder, seeds, slope=0.1):
    for alpha, seed in itertools.product((0.0, 1.0), range(seeds)):
        measured = {FVU: 0.3, SATURATED: 0.5, SENSITIVITY: 0.2 - slope * alpha + 0.001 * seed * (1 + alpha)}
        made.whole(folder / f"{alpha} {seed}", measured, alpha=alpha, seed=seed, pictures=())
    return compared(folder)


@pytest.mark.parametrize(
    ("seeds", "slope", "word"),
    [(3, 0.1, "falls"), (3, -0.1, "rises"), (3, 0.001, "not settled"), (2, 0.1, "not settled")],
)
def test_the_summary_has_a_sentence_and_a_figure_on_sensitivity(tmp_path, seeds, slope, word):
    comparison = sensitive(tmp_path, seeds, slope)
    title, sentence = [*findings.summary(comparison)][-1]
    low, high = (
        format_statistics(
            SeedStatistics.from_values(0.2 - slope * alpha + 0.001 * n * (1 + alpha) for n in range(seeds))
        )
        for alpha in (0, 1)
    )
    assert title == "Sensitivity of the code to small noise"
    assert sentence == f"Along alpha, {word}, from {low} at 0 to {high} at 1 ({seeds} seeds in common)."
    assert [chart.name for chart in figures.sweep_charts(comparison)][-1] == "valid_code_sensitivity"


def test_the_same_difference_for_every_seed_settles_nothing():
    assert not SeedStatistics.from_values([0.05, 0.05, 0.05]).is_settled
    assert not SeedStatistics.from_values([0.05, 0.06]).is_settled
    assert SeedStatistics.from_values([0.05, 0.06, 0.055]).is_settled
    assert not SeedStatistics.from_values([0.05, 0.5, -0.1]).is_settled
