"""What satae-eval found, on the page: as it was measured, never mixed, and whatever stands in the files."""

import csv
import io
import json
import math
import os
import random
import re
import subprocess
import sys
import typing

import made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.container import ErrorbarContainer
from pages import Page

from benchmarks import evaluated
from benchmarks.report_size import png
from satae.config.evaluation import PARTS
from satae.report import csv_files, drawing, sources, words
from satae.report.evaluations import panels, parts, stored, verdicts
from satae.report.evaluations.gathering import gather
from satae.report.series import plan
from satae.report.writing import write
from satae.run_directory import EVALUATION
from satae.sweep.groups import Spread, axes, grouped

ACTS, ALPHAS, SEEDS = ("relu", "satlin"), (0.0, 0.1, 1.0), (0, 1, 2)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>$\\frac{\u202e"


def results(act, alpha, seed):
    return evaluated.results(alpha, random.Random(repr((act, alpha, seed))))


def run(folder, act="relu", alpha=0.1, seed=0, parts=tuple(PARTS), pictures=(), changed=None, **more):
    """A run whose evaluation differs by act, alpha and seed."""
    place = made.whole(
        folder / f"act={act},alpha={alpha:g},seed={seed}", pictures=(), act=act, alpha=alpha, seed=seed, **more
    )
    for part, (headline, tables) in results(act, alpha, seed).items():
        if part in parts:
            names = tuple(name for name in pictures if name.startswith(part))
            evaluated.write_part(place, part, headline, tables, names, **((changed or {}).get(part, {})))
    return place


def sweep(folder, acts=ACTS, alphas=ALPHAS, seeds=SEEDS, **more):
    for act in acts:
        for alpha in alphas:
            for seed in seeds:
                run(folder, act, alpha, seed, **more)
    return folder


def gathered(folder):
    source = sources.gather([folder])
    groups = grouped(source.runs)
    return source, groups, gather(source, groups)


def part_of(folder, name):
    return next(part for part in gathered(folder)[2].parts if part.name == name)


def table(page, column):
    """The table on the page that has a column."""
    (found,) = [rows for rows in page.tables if column in rows[0]]
    return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


def rows(path):
    return [*csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("evaluated") / "first")


@pytest.fixture(scope="module")
def page(whole):
    return Page(write([whole]))


# what satae-eval writes is what is read


def test_the_reader_knows_what_satae_eval_writes():
    from satae.evaluation import codes, denoising, judged, manifold, perturbation, storage, victims
    from satae.robustness.verdict import Outcome, Verdict

    assert stored.FORMAT == storage.FORMAT
    assert evaluated.COLUMNS == {
        "denoising": denoising.COLUMNS,
        "code": codes.COLUMNS,
        "manifold": manifold.COLUMNS,
        "perturbation": perturbation.COLUMNS,
        "defence": judged.ACCURACY,
        "attacks": judged.ATTACKS,
        "checks": judged.CHECKS,
    }
    assert {*verdicts.VICTIMS} == {victims.OWN, victims.TWIN, victims.ALONE}
    assert {*verdicts.VERDICTS} == {*typing.get_args(Verdict)}
    assert verdicts.PASSED in typing.get_args(Outcome)
    assert [*parts.TOLD] == [*PARTS]


def test_what_storage_writes_can_be_read(tmp_path):
    from satae.evaluation import storage
    from satae.evaluation.findings import Findings, Table

    place = made.whole(tmp_path / "run")
    (place / EVALUATION).mkdir()
    cells = [["shuffled", 0.75, 0.7, math.nan, 2.0, 1.0, 30, 30]]
    columns = evaluated.COLUMNS["manifold"]
    found = Findings([Table("manifold", columns, cells, columns)], {"auroc shuffled": 0.75})
    key = {"part": "manifold", "samples": 30, "manifold": {"other": "auto"}, "weights": "abc"}
    storage.write(place / EVALUATION, "manifold", key, found, 1.0)
    read = stored.read(place, "manifold")
    assert read.settings == {"samples": "30", "manifold.other": "auto"}
    assert read.tables[0].rows == [["shuffled", 0.75, 0.7, None, 2.0, 1.0, 30, 30]]
    assert part_of(tmp_path, "manifold").groups[0].runs[0].metrics == {"auroc shuffled": 0.75}


# what the page says


def test_each_part_has_its_means_over_the_seeds_with_n_and_inputs(page):
    expected = {
        "denoising": ("fvu ± 95 %", lambda of: of["denoising"][0]["fvu"], "500"),
        "code": ("slope ± 95 %", lambda of: of["code"][0]["slope"], "1,000; slope: 200"),
        "manifold": ("auroc shuffled ± 95 %", lambda of: of["manifold"][0]["auroc shuffled"], "1,000"),
        "perturbation": ("code change, own ± 95 % (linf, epsilon 0.1)", largest_change, "200"),
    }
    for title, number, inputs in expected.values():
        found = table(page, title)
        assert len(found) == len(ACTS) * len(ALPHAS)
        for row in found:
            of = [results(row["act"], float(row["alpha"]), seed) for seed in SEEDS]
            assert row[title] == words.spread(Spread.of(map(number, of)))
            assert (row["n"], row["inputs"]) == ("3", inputs)


def largest_change(of, model="own"):
    return max(row[5] for row in of["perturbation"][1]["perturbation"] if row[:4] == [model, "code", "linf", 0.1])


def accuracy(of, victim, epsilon=0.1):
    return next((row[2] for row in of["defence"][1]["defence"] if row[:2] == [victim, epsilon]), math.nan)


def verdict(of, victim):
    return next(row[-1] for row in of["defence"][1]["defence"] if row[0] == victim)


def test_an_accuracy_under_attack_has_the_verdicts_with_it(page):
    found = table(page, "own: checks not passed")
    for row in found:
        of = [results(row["act"], float(row["alpha"]), seed) for seed in SEEDS]
        for victim in verdicts.VICTIMS if float(row["alpha"]) else ("own", "alone"):
            said = [verdict(each, victim) for each in of]
            counts = ", ".join(f"{word} {said.count(word)}" for word in verdicts.VERDICTS if word in said)
            number = words.spread(Spread.of(accuracy(each, victim) for each in of))
            cell = row[f"{victim} at 0.1 ± 95 % (verdict)"].replace("\N{NO-BREAK SPACE}", " ")
            assert cell == f"{number}\n({counts})".replace("\N{NO-BREAK SPACE}", " ")
    assert {row["own: checks not passed"] for row in found if row["alpha"] == "1"} == {"8 failed"}
    assert {row["twin at 0.1 ± 95 % (verdict)"] for row in found if row["alpha"] == "0"} == {words.NOTHING}


def test_the_page_says_that_it_is_an_extension_and_how_many_runs_it_is_of(tmp_path, page):
    assert "18 of 18 runs evaluated by satae-eval. All of this is an extension beyond the paper" in page.seen()
    sweep(tmp_path, alphas=[0.1], parts=["code"])
    made.whole(tmp_path / "more", pictures=(), act="tanh")
    assert "6 of 7 runs evaluated by satae-eval." in Page(write([tmp_path])).seen()


def test_without_evaluations_nothing_is_said_of_them(tmp_path):
    made.sweep(tmp_path, acts=["relu"])
    page = write([tmp_path])
    assert "satae-eval" not in Page(page).seen()
    assert not (page.parent / "evaluation.csv").exists()


def test_the_radius_that_most_have_for_the_middle_one_is_told(tmp_path):
    for seed, middle in enumerate((0.02, 0.05, 0.05)):
        place = run(tmp_path, seed=seed, parts=())
        headline, tables = results("relu", 0.1, seed)["defence"]
        evaluated.write_part(place, "defence", headline | {"epsilon": middle}, tables)
    number = words.spread(Spread.of(accuracy(results("relu", 0.1, seed), "own", 0.05) for seed in SEEDS))
    (row,) = table(Page(write([tmp_path])), "own at 0.05 ± 95 % (verdict)")
    assert row["own at 0.05 ± 95 % (verdict)"].startswith(f"{number}\n(")
    assert row["n"] == "3"


@pytest.mark.parametrize(
    ("part", "changed", "told"),
    [
        ("manifold", {"samples": 50}, "samples=50, not 1000"),
        ("defence", {"defence": {"norm": "linf", "samples": 500, "steps": 9}}, "defence.steps=9, not 40"),
        ("code", {"split": "valid"}, "split=valid, not test"),
        ("code", {"code": {"near": 0.1}}, "code.near=0.1, not given"),
    ],
)
def test_runs_that_were_measured_otherwise_are_in_no_mean(tmp_path, part, changed, told):
    parts = (part, "perturbation")
    sweep(tmp_path, acts=["relu"], alphas=[0.1], parts=parts)
    run(tmp_path, seed=3, parts=parts, changed={part: changed})
    page = Page(write([tmp_path]))
    assert f"1 run of 4 measured with other settings ({told}): in no mean and no figure" in page.seen()
    assert [run.seed for run in part_of(tmp_path, part).groups[0].runs] == [0, 1, 2]
    assert len(part_of(tmp_path, "perturbation").groups[0].runs) == 4
    written = {(row["part"], row["seed"], row["in_means"]) for row in rows(tmp_path / "report" / "evaluation.csv")}
    assert {(part, "3", "no"), (part, "2", "yes"), ("perturbation", "3", "yes")} <= written


def test_weights_are_no_setting_and_runs_that_go_on_count_in_no_mean(tmp_path):
    sweep(tmp_path, acts=["relu"], alphas=[0.1], parts=["code"])
    run(tmp_path, seed=3, parts=["code"], changed={"code": {"weights": "1" * 64}})
    run(tmp_path, seed=4, parts=["code"], record={"status": "running", "exit_code": None, "ended": None})
    assert part_of(tmp_path, "code").notes == ["1 evaluated run not finished: in no mean, but in evaluation.csv."]
    assert [run.seed for run in part_of(tmp_path, "code").groups[0].runs] == [0, 1, 2, 3]


def test_a_part_that_measured_nothing_says_why(tmp_path):
    for seed in range(2):
        place = run(tmp_path, seed=seed, parts=["code"])
        evaluated.write_part(place, "defence", {}, {}, notes=["no defence: the data have no labels"])
    page = Page(write([tmp_path]))
    assert "2 runs of which nothing was measured: no defence: the data have no labels." in page.seen()
    assert "own, clean" not in page.content


def test_of_one_run_a_verdict_is_a_word_and_no_figure_is_drawn_again(tmp_path):
    place = run(tmp_path, alpha=1.0)
    page = Page(write([place]))
    (row,) = table(page, "own at 0.1 (verdict)")
    ends = next(cells[3:5] for cells in results("relu", 1.0, 0)["defence"][1]["defence"] if cells[:2] == ["own", 0.1])
    number = words.number(accuracy(results("relu", 1.0, 0), "own"))
    assert row["own at 0.1 (verdict)"] == f"{number} [{', '.join(map(words.number, ends))}]\n(masked)"
    assert page.all("svg") == []


# the figures


def drawn(monkeypatch, folder, name):
    """The figures of a part as they are before they are saved, by name."""
    found = {}
    monkeypatch.setattr(panels, "kept", lambda figure, name, *_, **more: found.setdefault(name, figure))
    source, _groups, known = gathered(folder)
    part = next(part for part in known.parts if part.name == name)
    with drawing.styled():
        [*parts.draw(part, plan(part.groups, axes([run.choices for run in source.runs])))]
    return found


def lines(ax):
    """Each line by its label, or its place: the points, and the ends of their bars."""
    for place, line in enumerate(each for each in ax.containers if isinstance(each, ErrorbarContainer)):
        mark, _, (bars,) = line.lines
        label = line.get_label()
        yield place if label.startswith("_") else label, mark.get_xydata().tolist(), bars.get_segments()


def marks(ax):
    """Where there are marks of verdicts, with their kind."""
    return {
        (*map(float, line.get_xydata()[0]), line.get_marker())
        for line in ax.lines
        if line.get_linestyle() == "None" and len(line.get_xydata()) == 1
    }


def worst(of, victim):
    said = [verdict(each, victim) for each in of]
    return next(word for word in ("masked", "inconclusive", "holds") if word in said)


def test_every_figure_is_on_the_page_with_words(page, whole):
    boxes = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert len(boxes) == 3 + len(parts.FIGURES) == len(page.all("svg"))
    files = {path.stem for path in (whole / "report").glob("*.svg")}
    assert {*parts.FIGURES} <= files
    assert all(len(box["aria-label"]) > 100 for box in boxes[3:])


def test_accuracy_is_drawn_against_epsilon_for_each_configuration(whole, monkeypatch):
    figure = drawn(monkeypatch, whole, "defence")["defence_epsilon"]
    assert len(figure.axes) == len(ACTS) * len(ALPHAS)
    for ax in figure.axes:
        act, alpha = re.fullmatch(r"act=(\w+), alpha=([\d.]+)", ax.get_title()).groups()
        of = [results(act, float(alpha), seed) for seed in SEEDS]
        found = {label: points for label, points, _ in lines(ax)}
        assert [*found] == (["own", "twin", "alone"] if float(alpha) else ["own", "alone"])
        for victim, points in found.items():
            assert points == [
                pytest.approx([x, Spread.of(accuracy(each, victim, x) for each in of).mean]) for x in evaluated.EPSILONS
            ]
            kinds = {marker for x, y, marker in marks(ax) if [x, y] in points}
            assert panels.MARKS[worst(of, victim)]["marker"] in kinds


def test_accuracy_at_the_middle_radius_goes_along_alpha_with_marks_of_the_verdicts(whole, monkeypatch):
    (ax,) = drawn(monkeypatch, whole, "defence")["defence_middle"].axes
    found = [*lines(ax)]
    assert [label for label, *_ in found] == ["relu", 1, "satlin", 3]
    expected = set()
    for (act, victim), (_, points, bars) in zip(
        [(act, victim) for act in ACTS for victim in ("own", "twin")], found, strict=True
    ):
        for place, alpha in enumerate(ALPHAS):
            of, model = [results(act, alpha, seed) for seed in SEEDS], victim if alpha else "own"
            spread = Spread.of(accuracy(each, model) for each in of)
            assert points[place] == pytest.approx([alpha, spread.mean])
            assert bars[place][1][1] - bars[place][0][1] == pytest.approx(2 * spread.margin)
            expected.add((*points[place], panels.MARKS[worst(of, model)]["marker"]))
    assert marks(ax) == expected
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"relu", "satlin", "own", "twin", "verdict: holds", "verdict: masked", "verdict: inconclusive"} == {*legend}


def test_of_one_line_no_name_is_told(tmp_path, monkeypatch):
    sweep(tmp_path, acts=["relu"], seeds=[0], parts=["defence", "manifold"])
    (ax,) = drawn(monkeypatch, tmp_path, "defence")["defence_middle"].axes
    assert words.ONE not in [text.get_text() for text in ax.get_legend().get_texts()]
    assert drawn(monkeypatch, tmp_path, "manifold")["manifold_auroc"].legends == []


def test_change_of_the_code_and_areas_go_along_alpha(whole, monkeypatch):
    (ax,) = drawn(monkeypatch, whole, "perturbation")["perturbation_code"].axes
    own, twin = [points for _, points, _ in lines(ax)][:2]
    for points, model in ((own, "own"), (twin, "twin")):
        for x, y in points:
            of = [results("relu", x, seed) for seed in SEEDS]
            which = model if x else "own"
            assert y == pytest.approx(Spread.of(largest_change(each, which) for each in of).mean)
    assert [x for x, _ in own] == [x for x, _ in twin] == [*ALPHAS]
    figure = drawn(monkeypatch, whole, "manifold")["manifold_auroc"]
    assert [ax.get_title() for ax in figure.axes] == ["against uniform", "against gaussian", "against shuffled"]
    (_, points, _), *_ = lines(figure.axes[2])
    of = [results("relu", 1.0, seed)["manifold"][0]["auroc shuffled"] for seed in SEEDS]
    assert points[-1] == pytest.approx([1.0, Spread.of(of).mean])


def test_noise_has_a_panel_for_each_kind_that_says_whether_it_was_seen(whole, monkeypatch):
    figure = drawn(monkeypatch, whole, "denoising")["denoising_fvu"]
    assert [ax.get_title() for ax in figure.axes] == [
        "gaussian: seen in training",
        *(f"{kind}: not seen" for kind in evaluated.KINDS[1:]),
    ]
    found = {label: points for label, points, _ in lines(figure.axes[1])}
    assert [*found] == [f"act={act}, alpha={alpha:g}" for act in ACTS for alpha in ALPHAS]
    for seed_free, points in found.items():
        act, alpha = re.fullmatch(r"act=(\w+), alpha=([\d.]+)", seed_free).groups()
        of = [results(act, float(alpha), seed)["denoising"][1]["denoising"] for seed in SEEDS]
        for x, y in points:
            values = [row[6] for each in of for row in each if row[:2] == ["uniform", x]]
            assert y == pytest.approx(Spread.of(values).mean)
    assert "noisy input" in [line.get_label() for line in figure.axes[1].lines]


def test_without_a_number_that_varies_what_goes_along_none_is_drawn(tmp_path):
    sweep(tmp_path, alphas=[0.1])
    write([tmp_path])
    drawn = {path.stem for path in (tmp_path / "report").glob("*.png")} & {*parts.FIGURES}
    assert drawn == {"defence_epsilon", "denoising_fvu", "denoising_psnr"}


# the file


def test_the_file_has_every_row_of_every_table(whole, page):
    written = rows(whole / "report" / "evaluation.csv")
    expected = 0
    for act in ACTS:
        for alpha in ALPHAS:
            for seed in SEEDS:
                for part, (_, tables) in results(act, alpha, seed).items():
                    for name, cells in tables.items():
                        expected += len(cells)
                        like = {"part": part, "table": name, "seed": str(seed), "in_means": "yes"}
                        like |= {"run": f"act={act},alpha={alpha:g},seed={seed}"}
                        like |= {"configuration": f"act={act},alpha={alpha:g}"}
                        like |= dict(zip(evaluated.COLUMNS[name], map(as_written, cells[-1]), strict=True))
                        assert any(like.items() <= row.items() for row in written)
    assert len(written) == expected


def as_written(cell):
    return "" if cell is None else str(cell)


def test_the_file_is_written_part_by_part(whole):
    source, groups, found = gathered(whole)
    chunks = [*csv_files.evaluated(source, groups, found)]
    assert len(chunks) == 1 + 18 * len(PARTS)
    assert all(chunk.endswith(b"\r\n") for chunk in chunks)


# the pictures


PICTURES = ("denoising_curves.png", "defence_accuracy.png")


def with_pictures(place):
    for name in PICTURES:
        (place / EVALUATION / name).write_bytes(png(random.Random(0), side=8))


@pytest.mark.parametrize(("runs", "shown"), [(1, 2), (4, 8), (5, 0)])
def test_pictures_of_a_few_runs_are_shown_with_words(tmp_path, runs, shown):
    for seed in range(runs):
        with_pictures(run(tmp_path, seed=seed, pictures=PICTURES))
    images = Page(write([tmp_path])).all("img")
    assert len(images) == shown
    assert all(len(image["alt"]) > 40 and "seed=" in image["alt"] for image in images)


def test_only_pictures_of_the_evaluation_are_shown(tmp_path):
    names = ["defence_../../../x.png", "defence_accuracy.png", "defence_spoilt.png", "defence_gone.png", 3]
    place = run(tmp_path, parts=())
    headline, tables = results("relu", 0.1, 0)["defence"]
    evaluated.write_part(place, "defence", headline, tables, names)
    with_pictures(place)
    (place / EVALUATION / "defence_spoilt.png").write_bytes(b"<svg onload=alert(1)>")
    page = Page(write([place]))
    assert len(page.all("img")) == 1
    assert "defence_spoilt.png of act=relu,alpha=0.1,seed=0 is not shown: it is no PNG file." in page.seen()
    assert "defence_gone.png of act=relu,alpha=0.1,seed=0 is not shown: No such file" in page.seen()


# files from strangers


def spoilt(place, **changed):
    """The result of a part with something else in it."""
    path = place / EVALUATION / "manifold.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def one_table(**changed):
    usual = {"name": "manifold", "columns": [*evaluated.COLUMNS["manifold"]], "rows": [["x", *[0.5] * 5, 9, 9]]}
    return [usual | changed]


def key(**changed):
    return {"format": 1, "part": "manifold", "samples": 1} | changed


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"key": key(format=2)}, "it is of format 2, not 1; measure again"),
        ({"key": key(part="code")}, "it is no result of satae-eval"),
        ({"key": 3}, "it is no result of satae-eval"),
        ({"key": {}}, "it is no result of satae-eval"),
        ({"headline": []}, "it is no result of satae-eval"),
        ({"headline": {str(n): 1 for n in range(300)}}, "it is too large"),
        ({"tables": {}}, "it is no result of satae-eval"),
        ({"tables": [3]}, "it is no result of satae-eval"),
        ({"tables": one_table() * 30}, "it is too large"),
        ({"tables": one_table(name=3)}, "it is no result of satae-eval"),
        ({"tables": one_table(rows=[["x"]])}, "it is no result of satae-eval"),
        ({"tables": one_table(rows=[[]] * 6000)}, "it is too large"),
        ({"tables": one_table(rows=[["x", True, *[0.5] * 4, 9, 9]])}, "it is no result of satae-eval"),
        ({"tables": one_table(rows=[["x", 1e200, *[0.5] * 4, 9, 9]])}, "a number in it is too large"),
        ({"tables": one_table(rows=[["x", 10**400, *[0.5] * 4, 9, 9]])}, "it is no result of satae-eval"),
        ({"tables": one_table(rows=[["x", HOSTILE, *[0.5] * 4, 9, 9]])}, "is no number"),
        ({"tables": one_table(rows=[["x", 0.5, *[0.5] * 4, 9.5, 9]])}, "9.5: is no number of inputs"),
        ({"tables": one_table(rows=[[None, 0.5, *[0.5] * 4, 9, 9]])}, "null: is no name"),
        ({"tables": one_table(columns=["against", *"abcdefg"])}, "it lacks auroc"),
        ({"tables": one_table(columns=["against"] * 8)}, "it is no result of satae-eval"),
        ({"pictures": None}, "it is no result of satae-eval"),
    ],
)
def test_a_result_that_is_none_is_told_and_left_out(tmp_path, changed, told):
    sweep(tmp_path, acts=["relu"], alphas=[0.1], parts=["manifold"])
    spoilt(tmp_path / "act=relu,alpha=0.1,seed=0", **changed)
    (note,) = gathered(tmp_path)[2].notes
    assert note.startswith("evaluation/manifold.json of act=relu,alpha=0.1,seed=0 is left out: ")
    assert note.endswith(f"{told}.")
    assert [run.seed for run in part_of(tmp_path, "manifold").groups[0].runs] == [1, 2]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is torn, or no JSON"),
        (b'{"key": {', "it is torn, or no JSON"),
        (b"\xff\xfe", "it is no result of satae-eval"),
        (b"[" * 100_000, "it is no result of satae-eval"),
        (b" " * (stored.LARGEST + 1), "it is too large"),
        (b"[" + b"9" * 10_000 + b"]", ""),
        (b"null", "it is no result of satae-eval"),
        (None, "it is no file"),
    ],
)
def test_a_file_that_is_none_is_told_and_left_out(tmp_path, content, told):
    place = run(tmp_path, parts=["code"])
    path = place / EVALUATION / "code.json"
    path.unlink()
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    seen = Page(write([tmp_path])).seen()
    assert f"evaluation/code.json of {place.name} is left out: {told}" in seen


def test_nothing_in_an_evaluation_can_do_anything(tmp_path):
    for alpha in (0.0, 1.0):
        place = run(tmp_path, alpha=alpha)
        spoilt(place, tables=one_table(rows=[[HOSTILE, *[0.5] * 5, 9, 9]], columns=one_table()[0]["columns"]))
        kinds = results("relu", alpha, 0)["denoising"]
        for row in kinds[1]["denoising"]:
            row[0] = HOSTILE if row[0] == "gaussian" else "=1+1"
        evaluated.write_part(place, "denoising", *kinds, **{HOSTILE: HOSTILE})
    page = Page(write([tmp_path]))
    assert "alert(1)" in page.seen()
    assert "script" not in {name for name, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\u202e" not in page.content
    assert "'=1+1" in {row["noise"] for row in rows(tmp_path / "report" / "evaluation.csv")}


def test_an_accuracy_without_a_verdict_that_is_known_is_left_out(tmp_path):
    place = run(tmp_path, parts=())
    headline, tables = results("relu", 0.1, 0)["defence"]
    tables["defence"][0][-1] = "unbreakable"
    evaluated.write_part(place, "defence", headline, tables)
    seen = Page(write([tmp_path])).seen()
    assert "alone: unbreakable: no model, or no verdict, that is known." in seen
    assert "(unbreakable)" not in seen


@pytest.mark.parametrize("place", ["folder", "link"])
def test_an_evaluation_that_is_no_folder_is_no_matter(tmp_path, place):
    one = made.whole(tmp_path / "0")
    if place == "link":
        (one / EVALUATION).symlink_to("/nowhere")
    else:
        (one / EVALUATION).write_text("x")
    assert "satae-eval" not in Page(write([tmp_path])).seen()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(["key", "headline", "tables", "pictures", "rows", "cell"]), st.sampled_from([*PARTS]), JSON)
@settings(max_examples=150, deadline=None)
def test_no_result_is_too_odd(tmp_path_factory, where, part, odd):
    folder = tmp_path_factory.mktemp("odd")
    headline, tables = evaluated.results(0.1, random.Random(0))[part]
    name = next(iter(tables))
    if where == "rows":
        tables[name] = odd
    if where == "cell":
        tables[name][0] = [odd for _ in tables[name][0]]
    place = made.whole(folder / "0", pictures=())
    evaluated.write_part(place, part, headline, tables)
    path = place / EVALUATION / f"{part}.json"
    if where not in ("rows", "cell"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {where: odd}))
    source, groups, found = gathered(folder)
    assert found.notes or found.runs
    assert b"".join(csv_files.evaluated(source, groups, found))


def test_torch_is_not_needed(tmp_path):
    run(tmp_path)
    program = (
        "import sys; from pathlib import Path; from satae.report.writing import write;"
        " write([Path(sys.argv[1])]); assert not {'torch', 'satae.evaluation'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program, str(tmp_path)], check=True)
