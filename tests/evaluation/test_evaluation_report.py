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
from statistics import fmean

import made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page
from scipy import stats

from benchmarks import evaluated
from benchmarks.report_size import png
from satae.config.registry import EVALUATION_PARTS
from satae.evaluation import result, section_display
from satae.evaluation.part import PIPELINE_TITLES
from satae.evaluation.parts import defence
from satae.evaluation.reported_evaluations import (
    PASSED,
    VERDICTS,
    PartSummary,
    changed_settings,
    figure_names,
    read_evaluations,
)
from satae.page import sources
from satae.page.tables import encode_evaluations
from satae.page.writing import write_report
from satae.robustness.estimates import fraction_estimate
from satae.runs.layout import EVALUATION_FOLDER
from satae.sweeps.aggregate import SeedStatistics, group_runs, holm, varying_keys
from satae.sweeps.text import ALL_RUNS, NOTHING, format_change, format_number, format_statistics

PARTS = EVALUATION_PARTS.names()
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
    source = sources.collect_runs([folder])
    groups = group_runs(source.runs)
    return source, groups, read_evaluations(source.runs, groups, source.name)


def part_of(folder, name):
    return next(section for section in gathered(folder)[2].sections if section.name == name)


def table(page, part):
    """The table of a part on the page."""
    found = page.tables[page.titles.index(f"{part.capitalize()}, evaluated")]
    return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


def told(part):
    """What stands in the cells of an accuracy: its number, the ends of its interval, its verdict."""
    number, ends, verdict = part.replace("\N{NO-BREAK SPACE}", " ").split("\n")
    return number, [float(end) for end in ends.strip("[]").split(", ")], verdict.strip("()")


def rows(path):
    return [*csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("evaluated") / "first")


@pytest.fixture(scope="module")
def page(whole):
    return Page(write_report([whole]))


# what satae-eval writes is what is read


def test_the_reader_knows_what_satae_eval_writes():
    from satae.evaluation.parts import code_, code_sensitivity, defence_measure, denoising, manifold, perturbation
    from satae.robustness.masking_checks import CheckOutcome, VerdictWord

    assert evaluated.COLUMNS == {
        "denoising": denoising.COLUMNS,
        "code": code_.COLUMNS,
        "sensitivity": code_sensitivity.SENSITIVITY_COLUMNS,
        "manifold": manifold.COLUMNS,
        "perturbation": perturbation.COLUMNS,
        "defence": defence_measure.ACCURACY_COLUMNS,
        "verdicts": defence_measure.VERDICT_COLUMNS,
        "attacks": defence_measure.ATTACK_COLUMNS,
        "checks": defence_measure.CHECK_COLUMNS,
    }
    assert {*VERDICTS} == {*typing.get_args(VerdictWord)}
    assert PASSED in typing.get_args(CheckOutcome)


def test_a_written_result_can_be_read(tmp_path):
    from satae.evaluation.result import PartResult, ResultTable

    place = made.whole(tmp_path / "run")
    (place / EVALUATION_FOLDER).mkdir()
    cells = [["shuffled", 0.75, 0.7, math.nan, 2.0, 1.0, 30, 30]]
    columns = evaluated.COLUMNS["manifold"]
    found = PartResult([ResultTable("manifold", columns, cells, columns)], {"auroc shuffled": 0.75})
    key = {"part": "manifold", "samples": 30, "manifold": {"other": "auto"}, "weights": "abc"}
    result.write_result(place / EVALUATION_FOLDER, "manifold", key, found, 1.0)
    read = result.read_result(place / EVALUATION_FOLDER, "manifold")
    assert read.settings == {"samples": "30", "manifold.other": "auto"}
    assert read.result.tables[0].rows == [["shuffled", 0.75, 0.7, None, 2.0, 1.0, 30, 30]]
    assert part_of(tmp_path, "manifold").groups[0].runs[0].metrics == {"shuffled": 0.75}


# what the page says


def test_each_part_has_its_means_over_the_seeds_with_n_and_inputs(page):
    expected = {
        "denoising": ("fvu", lambda of: of["denoising"][0]["fvu"], "500"),
        "code": ("slope", lambda of: of["code"][0]["slope"], "1,000\nslope: 200"),
        "manifold": ("shuffled", lambda of: of["manifold"][0]["auroc shuffled"], "1,000"),
        "perturbation": ("own", largest_change, "200"),
    }
    for part, (title, number, inputs) in expected.items():
        found = table(page, part)
        assert len(found) == len(ACTS) * len(ALPHAS)
        for row in found:
            of = [results(row["act"], float(row["alpha"]), seed) for seed in SEEDS]
            spread, _, interval = row[title].partition("\n")
            assert spread == format_statistics(SeedStatistics.from_values(map(number, of)))
            assert bool(interval) == (part in ("code", "manifold"))
            assert (row["n"], row["inputs"]) == ("3", inputs)
    captions = ("AUROC against", "Largest change, linf, epsilon 0.1", "Accuracy at epsilon 0.1")
    assert all(f"<caption>{caption}</caption>" in page.content for caption in captions)


def largest_change(of, model="own", output="code"):
    return max(row[5] for row in of["perturbation"][1]["perturbation"] if row[:4] == [model, output, "linf", 0.1])


def ends(of, victim, epsilon=0.1):
    return next(row[3:5] for row in of["defence"][1]["defence"] if row[:2] == [victim, epsilon])


def accuracy(of, victim, epsilon=0.1):
    return next((row[2] for row in of["defence"][1]["defence"] if row[:2] == [victim, epsilon]), math.nan)


def verdict(of, victim):
    return next(row[-1] for row in of["defence"][1]["defence"] if row[0] == victim)


def test_an_accuracy_under_attack_has_its_verdicts(page):
    found = table(page, "defence")
    assert [*found[0]][-5:] == ["clean", "own", "remarks", "twin", "alone"]
    for row in found:
        of = [results(row["act"], float(row["alpha"]), seed) for seed in SEEDS]
        for victim in defence.PIPELINES if float(row["alpha"]) else ("own", "alone"):
            said = [verdict(each, victim) for each in of]
            counts = ", ".join(f"{word} {said.count(word)}" for word in VERDICTS if word in said)
            spread = SeedStatistics.from_values(accuracy(each, victim) for each in of)
            interval = [pytest.approx(fmean(ends(each, victim)[side] for each in of), abs=0.006) for side in (0, 1)]
            assert told(row[victim]) == (format_statistics(spread).replace("\N{NO-BREAK SPACE}", " "), interval, counts)
    assert {row["remarks"] for row in found if row["alpha"] == "1"} == {"gradients hidden, level open\ncheck 8 failed"}
    assert {row["twin"] for row in found if row["alpha"] == "0"} == {NOTHING}


def test_only_estimates_have_intervals(tmp_path):
    run(tmp_path, parts=["code", "manifold"])
    of, page = results("relu", 0.1, 0), Page(write_report([tmp_path]))
    low, high = next(row[2:4] for row in of["manifold"][1]["manifold"] if row[0] == "shuffled")
    (row,) = table(page, "manifold")
    assert row["shuffled"].endswith(f"\n[{format_number(low)}, {format_number(high)}]")
    low, high = next(row[3:5] for row in of["code"][1]["code"] if row[:2] == ["encoder", "slope"])
    (row,) = table(page, "code")
    assert row["slope"].endswith(f"\n[{format_number(low)}, {format_number(high)}]")
    assert "\n" not in row["saturated"]
    assert "95 % interval over other draws of the inputs" in page.seen()


def test_sensitivities_and_corruptions_stand_beside_what_earlier_versions_measured(tmp_path):
    place = run(tmp_path, parts=["denoising"])
    headline, tables = results("relu", 0.1, 0)["code"]
    of_both = [
        [of, noise, 0.01 * size, 0.5, 0.02 * size, 3, 0.75, 900]
        for of, size in (("input", 1), ("code", 2), ("reconstruction", 3))
        for noise, size in (("unclipped", size), ("clipped", 10 * size))
    ]
    slope = ["encoder", "slope over spread", 2.5, 2.0, 3.0, 200]
    evaluated.write_part(place, "code", headline, {"code": [*tables["code"], slope], "sensitivity": of_both})
    noise, tables = results("relu", 0.1, 0)["denoising"]
    evaluated.write_part(place, "denoising", noise | {"fvu under corruptions": 0.875}, tables)
    page = Page(write_report([tmp_path]))
    (row,) = table(page, "code")
    assert [*row][-7:] == [
        *("slope over spread", "sensitivity", "clipped", "per unit", "input", "reconstruction", "identified"),
    ]
    assert row["slope over spread"] == "2.500\n[2.000, 3.000]"
    assert [float(value) for value in [*row.values()][-6:]] == [0.02, 0.2, 0.4, 0.1, 0.3, 0.75]
    (row,) = table(page, "denoising")
    assert [*row][-3:] == ["fvu", "psnr", "fvu under corruptions"]
    assert float(row["fvu under corruptions"]) == 0.875
    measured = [row for row in rows(tmp_path / "report" / "evaluation.csv") if row["table"] == "sensitivity"]
    assert [(row["of"], row["sensitivity"], row["identified"]) for row in measured[:2]] == [
        ("input", "0.01", "0.75"),
        ("input", "0.1", "0.75"),
    ]


def test_a_mean_with_a_seed_without_an_interval_has_none(tmp_path):
    for seed, (area, low, high) in enumerate([(0.9, None, None), (0.1, 0.05, 0.15)]):
        place = run(tmp_path, seed=seed, parts=())
        evaluated.write_part(place, "manifold", {}, {"manifold": [["shuffled", area, low, high, 9.0, 3.0, 9, 9]]})
    (row,) = table(Page(write_report([tmp_path])), "manifold")
    assert row["shuffled"] == format_statistics(SeedStatistics.from_values([0.9, 0.1]))


def test_the_page_says_that_it_is_an_extension_and_how_many_runs_it_is_of(tmp_path, page):
    assert "All 18 runs were evaluated by satae-eval. This section is an extension beyond the paper" in page.seen()
    sweep(tmp_path, alphas=[0.1], parts=["code"])
    made.whole(tmp_path / "more", pictures=(), act="tanh")
    assert "6 of 7 runs were evaluated by satae-eval." in Page(write_report([tmp_path])).seen()


def test_a_page_without_evaluations_does_not_mention_them(tmp_path):
    made.sweep(tmp_path, acts=["relu"])
    page = write_report([tmp_path])
    assert "satae-eval" not in Page(page).seen()
    assert not (page.parent / "evaluation.csv").exists()


def test_the_middle_radius_of_most_runs_is_shown(tmp_path):
    for seed, middle in enumerate((0.02, 0.05, 0.05)):
        place = run(tmp_path, seed=seed, parts=())
        headline, tables = results("relu", 0.1, seed)["defence"]
        evaluated.write_part(place, "defence", headline | {"epsilon": middle}, tables)
    number = format_statistics(
        SeedStatistics.from_values(accuracy(results("relu", 0.1, seed), "own", 0.05) for seed in SEEDS)
    )
    page = Page(write_report([tmp_path]))
    (row,) = table(page, "defence")
    assert "<caption>Accuracy at epsilon 0.05</caption>" in page.content
    assert row["own"].startswith(f"{number}\n[")
    assert row["n"] == "3"


@pytest.mark.parametrize(
    ("part", "changed", "told"),
    [
        ("manifold", {"samples": 50}, "samples=50, not 1000"),
        ("defence", {"defence": {"norm": "linf", "samples": 500, "steps": 9}}, "defence.steps=9, not 40"),
        ("code", {"split": "valid"}, "split=valid, not test"),
        ("code", {"code": {"near": 0.1}}, "code.near=0.1, not given"),
        ("code", {"satae": "0" * 12}, "another version of satae"),
    ],
)
def test_runs_measured_with_other_settings_are_in_no_mean(tmp_path, part, changed, told):
    parts = (part, "perturbation")
    sweep(tmp_path, acts=["relu"], alphas=[0.1], parts=parts)
    run(tmp_path, seed=3, parts=parts, changed={part: changed})
    page = Page(write_report([tmp_path]))
    assert f"1 of 4 runs was measured with other settings ({told}). It is only in evaluation.csv." in page.seen()
    assert [run.seed for run in part_of(tmp_path, part).groups[0].runs] == [0, 1, 2]
    assert len(part_of(tmp_path, "perturbation").groups[0].runs) == 4
    written = {(row["part"], row["seed"], row["in_means"]) for row in rows(tmp_path / "report" / "evaluation.csv")}
    assert {(part, "3", "no"), (part, "2", "yes"), ("perturbation", "3", "yes")} <= written


def test_other_weights_count_and_unfinished_runs_do_not(tmp_path):
    sweep(tmp_path, acts=["relu"], alphas=[0.1], parts=["code"])
    run(tmp_path, seed=3, parts=["code"], changed={"code": {"weights": "1" * 64}})
    run(tmp_path, seed=4, parts=["code"], record={"status": "running", "exit_code": None, "ended": None})
    assert part_of(tmp_path, "code").notes == ["1 evaluated run is not finished. It is only in evaluation.csv."]
    assert [run.seed for run in part_of(tmp_path, "code").groups[0].runs] == [0, 1, 2, 3]


def test_ties_between_settings_prefer_the_defaults_and_then_more_inputs(tmp_path):
    chosen = {"defence": {"defence": {"norm": "linf", "samples": 500, "steps": 40, "queries": 7}}}
    run(tmp_path / "first", seed=0, parts=["defence"], changed=chosen)
    run(tmp_path / "first", seed=1, parts=["defence"])
    run(tmp_path / "second", seed=0, parts=["code"], changed={"code": {"samples": 40}})
    run(tmp_path / "second", seed=1, parts=["code"], changed={"code": {"samples": 50}})
    evaluated.write_part(tmp_path / "second" / "act=relu,alpha=0.1,seed=1", "code", *larger(), samples=50)
    assert [run.seed for run in part_of(tmp_path / "first", "defence").groups[0].runs] == [1]
    assert [run.seed for run in part_of(tmp_path / "second", "code").groups[0].runs] == [1]


def larger():
    """The code of more inputs than usual."""
    headline, tables = results("relu", 0.1, 1)["code"]
    return headline, {"code": [[*row[:5], 9_000] for row in tables["code"]]}


def test_changed_settings_are_shown_and_parts_that_differ_in_shared_ones(tmp_path):
    changed = {"code": {"split": "valid", "seed": 3}, "defence": {"best": True}}
    place = run(tmp_path, changed=changed)
    seen = Page(write_report([place])).seen()
    assert "Measured with split=valid, seed=3; all other settings have their defaults." in seen
    others = "denoising, manifold, perturbation"
    assert f"The parts of the evaluation differ: split=test of {others} and defence; split=valid of code." in seen
    assert "differ: best=false of denoising, code, manifold and perturbation; best=true of defence." in seen
    assert "The parts of the evaluation differ" not in Page(write_report([run(tmp_path / "alike")])).seen()


def test_a_setting_is_shown_as_it_is_typed():
    assert result.as_typed([10.0, 0.5, 3]) == "[10,0.5,3]"
    assert changed_settings({"defence.temperatures": result.as_typed([3.0, 10.0, 30.0, 100.0, 300.0])}) == {}


# weights of before


ENDED = "2026-01-31T12:00:09.900+00:00"  # of a run


def test_parts_with_other_weights_than_the_last_are_stale(tmp_path):
    sweep(tmp_path, acts=["relu"], alphas=[0.1])
    place = tmp_path / "act=relu,alpha=0.1,seed=0"
    code = results("relu", 0.1, 0)["code"]
    evaluated.write_part(place, "code", *code, measured="2026-01-31T13:00:00+00:00", weights="1" * 64)
    for part in ("denoising", "manifold", "perturbation", "defence"):
        evaluated.write_part(place, part, *results("relu", 0.1, 0)[part], measured="2026-01-31T12:30:00+00:00")
    page = Page(write_report([tmp_path]))
    names = "denoising, manifold, perturbation and defence"
    assert (
        f"1 run was trained further after {names} had been measured. The results of the earlier weights are only in"
        in page.seen()
    )
    assert [run.seed for run in part_of(tmp_path, "code").groups[0].runs] == [0, 1, 2]
    assert [run.seed for run in part_of(tmp_path, "defence").groups[0].runs] == [1, 2]
    written = {(row["part"], row["seed"], row["in_means"]) for row in rows(tmp_path / "report" / "evaluation.csv")}
    assert {("manifold", "0", "no"), ("manifold", "1", "yes"), ("code", "0", "yes")} <= written


@pytest.mark.parametrize(
    ("measured", "best", "stale"),
    [
        ("2026-01-31T12:00:08+00:00", False, True),
        ("2026-01-31T12:00:09+00:00", False, False),  # in the second in which the run ended
        ("2026-01-31T12:00:08+00:00", True, False),  # the best ones may be those of before
        ("a stranger's", False, False),
    ],
)
def test_a_part_measured_before_the_run_ended_is_stale(tmp_path, measured, best, stale):
    place = run(tmp_path, parts=(), record={"ended": ENDED})
    evaluated.write_part(place, "code", *results("relu", 0.1, 0)["code"], measured=measured, best=best)
    found = part_of(tmp_path, "code")
    assert ["was trained further" in note for note in found.notes] == [True] * stale
    assert len(found.summaries) == (not stale)


def test_a_stale_part_shows_no_pictures(tmp_path):
    place = run(tmp_path, parts=(), record={"ended": ENDED})
    headline, tables = results("relu", 0.1, 0)["defence"]
    evaluated.write_part(place, "defence", headline, tables, PICTURES[1:], measured="2026-01-31T11:00:00+00:00")
    with_pictures(place)
    assert Page(write_report([place])).all("img") == []


# what the top of the page says of it


def test_each_part_has_its_sentence_in_the_summary(page, tmp_path):
    seen = page.seen()
    of = [results("satlin", 1.0, seed) for seed in SEEDS]
    for part in (
        "Denoising:",
        "Code:",
        "Manifold, AUROC against:",
        "Perturbation, largest change, linf, epsilon 0.1:",
    ):
        assert part in seen
    assert f"act=satlin, alpha=1: {compared(of, corrected_p_values()['satlin', 1.0])}" in seen
    one = Page(write_report([run(tmp_path)])).seen()
    assert f"Defence, accuracy at epsilon 0.1: {compared([results('relu', 0.1, 0)])}" in one


def corrected_p_values():
    """The p-values of all configurations with a twin, from the numbers."""
    pairs = {
        (act, alpha): [[accuracy(results(act, alpha, seed), victim) for seed in SEEDS] for victim in ("own", "twin")]
        for act in ACTS
        for alpha in ALPHAS
        if alpha
    }
    return dict(zip(pairs, holm([stats.ttest_rel(*pair).pvalue for pair in pairs.values()]), strict=True))


def compared(of, p_value=1.0):
    """The sentence that compares the accuracy of a model with that of its twin, written anew from the numbers."""
    own, twin = ([accuracy(each, victim) for each in of] for victim in ("own", "twin"))
    statistics = SeedStatistics.from_values(a - b for a, b in zip(own, twin, strict=True))
    word = "not settled" if len(of) > 2 else "too few seeds"
    if p_value < 0.05:
        word = "more" if statistics.mean > 0 else "less"
    means = [format_statistics(SeedStatistics.from_values(values)) for values in (own, twin)]
    how = f"95 % interval, {len(of)} seeds" if len(of) > 2 else "1 seed"
    numbers = f"{means[0]} against {means[1]} of the twin trained with alpha=0"
    doubts = []
    for victim in ("own", "twin"):
        found = [verdict(each, victim) for each in of]
        counts = {name: found.count(name) for name in ("masked", "inconclusive") if name in found}
        words = [f"{name} in {count}" if len(of) > 1 else name for name, count in counts.items()]
        if words:
            doubts.append(f"{victim} is {' and '.join(words)}{f' of {len(of)} runs' if len(of) > 1 else ''}")
    meaning = "may be an illusion" if "masked" in str(doubts) else "is not confirmed"
    doubt = f"; but {', and '.join(doubts)}, so this {meaning}"
    sentence = f"{word}; {numbers}, difference {format_change(statistics)} ({how}){doubt if doubts else ''}."
    return sentence.replace("\N{NO-BREAK SPACE}", " ")


def test_masked_gradients_are_in_the_warnings(page, tmp_path):
    (box,) = re.findall(r'aria-label="Before you rely on it".*?</div>', page.content, re.DOTALL)
    told = "own is masked in 6 runs (act=relu, alpha=1; act=satlin, alpha=1): gradients are hidden"
    assert f"Defence: {told}, so that its accuracy under attack may be an illusion." in box
    assert (
        "Defence: own is masked in 1 run: gradients are hidden" in Page(write_report([run(tmp_path, alpha=1.0)])).seen()
    )
    assert "is masked" not in Page(write_report([run(tmp_path, alpha=0.0)])).seen()


def test_an_accuracy_of_zero_is_called_no_illusion(tmp_path):
    headline, tables = results("relu", 1.0, 0)["defence"]
    at_zero = [[*row[:2], 0.0, 0.0, 0.01, *row[5:]] if row[0] == "own" else row for row in tables["defence"]]
    place = run(tmp_path, alpha=1.0)
    evaluated.write_part(place, "defence", headline, tables | {"defence": at_zero})
    seen = Page(write_report([place])).seen()
    assert "Defence: own is masked in 1 run: gradients are hidden, but no accuracy under attack is left" in seen


def test_an_accuracy_that_is_left_at_a_smaller_radius_may_be_an_illusion(tmp_path):
    headline, tables = results("relu", 1.0, 0)["defence"]
    own = [row for row in tables["defence"] if row[0] == "own"]
    radii = sorted({float(row[1]) for row in own})
    kept = next(radius for radius in radii if 0 < radius < headline["epsilon"])
    changed = [
        [*row[:2], 0.9 if row[1] == kept else 0.0, 0.0, 0.95, *row[5:]] if row[0] == "own" else row
        for row in tables["defence"]
    ]
    place = run(tmp_path, alpha=1.0)
    evaluated.write_part(place, "defence", headline, tables | {"defence": changed})
    seen = Page(write_report([place])).seen()
    assert "own is masked in 1 run: gradients are hidden, so that its accuracy under attack may be an illusion" in seen


def test_the_contents_lead_to_every_section(page):
    targets = {link["href"].removeprefix("#") for link in page.all("a")}
    known = {attributes.get("id") for _, attributes in page.tags}
    assert targets <= known
    assert {attributes["aria-labelledby"] for attributes in page.all("section")} <= targets
    assert {*PARTS} <= targets


def test_a_part_that_measured_nothing_gives_the_reason(tmp_path):
    for seed in range(2):
        place = run(tmp_path, seed=seed, parts=["code"])
        evaluated.write_part(place, "defence", {}, {}, notes=["no defence: the data have no labels"])
    page = Page(write_report([tmp_path]))
    assert "2 runs of which nothing was measured: no defence: the data have no labels." in page.seen()
    assert "own, clean" not in page.content


def test_a_page_of_one_run_has_one_word_for_a_verdict_and_repeats_no_figure(tmp_path):
    place = run(tmp_path, alpha=1.0)
    page = Page(write_report([place]))
    (row,) = table(page, "defence")
    of = results("relu", 1.0, 0)
    number = format_number(accuracy(of, "own"))
    assert told(row["own"]) == (number, [pytest.approx(end, abs=0.006) for end in ends(of, "own")], "masked")
    assert "The run was evaluated by satae-eval." in page.seen()
    assert page.all("svg") == []


# the figures


def charts(folder, name):
    """The charts of a part by name."""
    source, _groups, known = gathered(folder)
    section = next(section for section in known.sections if section.name == name)
    varied = varying_keys([run.choices for run in source.runs])
    return {chart.name: chart for chart in section.charts(varied)}


def lines(panel):
    """Each curve with bars by its label, or its place: the points, and the ends of their bars."""
    curves = [curve for curve in panel.curves if curve.y_bars is not None]
    for place, curve in enumerate(curves):
        ends = [(y - down, y + up) for y, down, up in zip(curve.y, *curve.y_bars, strict=True)]
        yield curve.label or place, [[x, y] for x, y in zip(curve.x, curve.y, strict=True)], ends


def marks(panel):
    """Where there are marks of verdicts, with their kind."""
    return {
        (x, y, curve.marker)
        for curve in panel.curves
        if curve.dash == "none"
        for x, y in zip(curve.x, curve.y, strict=True)
    }


def labels(chart):
    return [curve.label for panel in chart.panels for curve in panel.curves if curve.label]


def worst(of, victim):
    said = [verdict(each, victim) for each in of]
    return next(word for word in ("masked", "inconclusive", "holds") if word in said)


def test_every_figure_on_the_page_has_a_caption(page, whole):
    boxes = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert len(boxes) == 3 + len(figure_names()) == len(page.all("svg"))
    files = {path.stem for path in (whole / "report").glob("*.svg")}
    assert {*figure_names()} <= files
    assert all(len(box["aria-label"]) > 100 for box in boxes[3:])


def test_accuracy_is_drawn_against_epsilon_for_each_configuration(whole):
    chart = charts(whole, "defence")["defence_epsilon"]
    assert len(chart.panels) == len(ACTS) * len(ALPHAS)
    for panel in chart.panels:
        act, alpha = re.fullmatch(r"act=(\w+), alpha=([\d.]+)", panel.title).groups()
        of = [results(act, float(alpha), seed) for seed in SEEDS]
        found = {label: points for label, points, _ in lines(panel)}
        victims = ["own", "twin", "alone"] if float(alpha) else ["own", "alone"]
        assert [*found] == [PIPELINE_TITLES[victim] for victim in victims]
        for victim, points in zip(victims, found.values(), strict=True):
            assert points == [
                pytest.approx([x, SeedStatistics.from_values(accuracy(each, victim, x) for each in of).mean])
                for x in evaluated.EPSILONS
            ]
            kinds = {marker for x, y, marker in marks(panel) if [x, y] in points}
            assert section_display.VERDICT_MARKS[worst(of, victim)]["marker"] in kinds


def test_accuracy_at_the_middle_radius_is_drawn_against_alpha_with_verdict_marks(whole):
    (panel,) = charts(whole, "defence")["defence_middle"].panels
    found = [*lines(panel)]
    assert [label for label, *_ in found] == ["relu", 1, "satlin", 3]
    expected = set()
    for (act, victim), (_, points, bars) in zip(
        [(act, victim) for act in ACTS for victim in ("own", "twin")], found, strict=True
    ):
        for place, alpha in enumerate(ALPHAS):
            of, model = [results(act, alpha, seed) for seed in SEEDS], victim if alpha else "own"
            spread = SeedStatistics.from_values(accuracy(each, model) for each in of)
            assert points[place] == pytest.approx([alpha, spread.mean])
            assert bars[place][1] - bars[place][0] == pytest.approx(2 * spread.margin)
            expected.add((*points[place], section_display.VERDICT_MARKS[worst(of, model)]["marker"]))
    assert marks(panel) == expected
    expected = {
        "relu",
        "satlin",
        "model",
        "twin, alpha=0",
        "verdict: holds",
        "verdict: masked",
        "verdict: inconclusive",
    }
    assert {curve.label for curve in panel.curves if curve.label} == expected


def test_a_single_line_has_no_label(tmp_path):
    sweep(tmp_path, acts=["relu"], seeds=[0], parts=["defence", "manifold"])
    assert ALL_RUNS not in labels(charts(tmp_path, "defence")["defence_middle"])
    assert labels(charts(tmp_path, "manifold")["manifold_auroc"]) == []


def test_axes_show_all_possible_accuracies_and_changes_from_0(whole):
    for name, chart, possible in (
        ("defence", "defence_middle", (0, 1)),
        ("perturbation", "perturbation_code", (0, math.inf)),
    ):
        for panel in charts(whole, name)[chart].panels:
            assert (panel.y_possible, panel.shows_all_possible) == (possible, True)


def test_bars_of_one_run_are_over_inputs(tmp_path):
    sweep(tmp_path, acts=["relu"], seeds=[0], parts=["defence"])
    (panel,) = charts(tmp_path, "defence")["defence_middle"].panels
    own, _twin = lines(panel)
    for alpha, segment in zip(ALPHAS, own[2], strict=True):
        assert [*segment] == pytest.approx(ends(results("relu", alpha, 0), "own"))


def test_bars_of_shares_stay_between_0_and_1_and_bars_of_two_seeds_are_their_range(tmp_path):
    for seed, areas in enumerate([(0.5, 1.0), (0.6, 0.9), (0.5, 0.6)]):
        for alpha in (0.0, 1.0) if seed < 2 else (1.0,):
            place = run(tmp_path, alpha=alpha, seed=seed, parts=())
            cells = [["shuffled", areas[int(alpha)], 0, 1, 9.0, 3.0, 9, 9]]
            evaluated.write_part(place, "manifold", {}, {"manifold": cells})
    ((_, points, bars),) = lines(charts(tmp_path, "manifold")["manifold_auroc"].panels[0])
    assert [y for _, y in points] == pytest.approx([0.55, 2.5 / 3])
    assert [*bars[0]] == pytest.approx([0.5, 0.6])
    assert bars[1][1] == 1.0
    assert bars[1][0] == pytest.approx((spread := SeedStatistics.from_values([1.0, 0.9, 0.6])).mean - spread.margin)


def test_bars_of_areas_of_one_run_are_over_inputs(tmp_path):
    for alpha in (0.0, 1.0):
        place = run(tmp_path, alpha=alpha, parts=())
        evaluated.write_part(place, "manifold", {}, {"manifold": [["shuffled", 0.6, 0.5, 0.8, 9.0, 3.0, 9, 9]]})
    assert "Bars: 95 % intervals over other draws of the inputs." in Page(write_report([tmp_path])).seen()
    ((_, _, bars),) = lines(charts(tmp_path, "manifold")["manifold_auroc"].panels[0])
    assert [[*bar] for bar in bars] == [pytest.approx([0.5, 0.8])] * 2


@pytest.mark.parametrize("output", ["code", "reconstruction"])
def test_the_change_of_the_code_and_of_the_reconstruction_are_drawn_against_alpha(whole, output):
    (panel,) = charts(whole, "perturbation")[f"perturbation_{output}"].panels
    own, twin = [points for _, points, _ in lines(panel)][:2]
    for points, model in ((own, "own"), (twin, "twin")):
        for x, y in points:
            of = [largest_change(results("relu", x, seed), model if x else "own", output) for seed in SEEDS]
            assert y == pytest.approx(SeedStatistics.from_values(of).mean)
    assert [x for x, _ in own] == [x for x, _ in twin] == [*ALPHAS]


def test_areas_are_drawn_against_alpha(whole):
    chart = charts(whole, "manifold")["manifold_auroc"]
    assert [panel.title for panel in chart.panels] == ["against uniform", "against gaussian", "against shuffled"]
    (_, points, _), *_ = lines(chart.panels[2])
    of = [results("relu", 1.0, seed)["manifold"][0]["auroc shuffled"] for seed in SEEDS]
    assert points[-1] == pytest.approx([1.0, SeedStatistics.from_values(of).mean])


def test_noise_has_a_panel_for_each_kind_that_says_whether_it_was_seen(whole):
    chart = charts(whole, "denoising")["denoising_fvu"]
    assert [panel.title for panel in chart.panels] == [
        "gaussian noise: in training",
        *(f"{kind.replace('_', ' ')} noise: not in training" for kind in evaluated.KINDS[1:]),
    ]
    found = {label: points for label, points, _ in lines(chart.panels[1])}
    assert [*found] == [f"act={act}, alpha={alpha:g}" for act in ACTS for alpha in ALPHAS]
    for seed_free, points in found.items():
        act, alpha = re.fullmatch(r"act=(\w+), alpha=([\d.]+)", seed_free).groups()
        of = [results(act, float(alpha), seed)["denoising"][1]["denoising"] for seed in SEEDS]
        for x, y in points:
            values = [row[6] for each in of for row in each if row[:2] == ["uniform", x]]
            assert y == pytest.approx(SeedStatistics.from_values(values).mean)
    assert "noisy input" in [curve.label for curve in chart.panels[1].curves]


def test_figures_against_an_option_are_left_out_if_no_number_varies(tmp_path):
    sweep(tmp_path, alphas=[0.1])
    write_report([tmp_path])
    drawn = {path.stem for path in (tmp_path / "report").glob("*.png")} & {*figure_names()}
    assert drawn == {"defence_epsilon", "defence_trade_off", "denoising_fvu", "denoising_psnr"}


def test_the_summary_of_numbers_that_have_no_twin_mentions_the_runs_with_alpha_0(tmp_path):
    sweep(tmp_path, alphas=[0.01, 0.1, 0.5, 1.0, 0.0])
    sentences = section_display.section_summary(part_of(tmp_path, "denoising"))[1]
    named = [text.partition(":")[0] for text in sentences]
    assert len([name for name in named if "alpha=0," in f"{name},"]) == len(ACTS), named
    assert len(named) > len(ACTS), named


# models beside their twins, in sentences


def defence_with(folder, differences, verdicts=("holds", "holds"), alpha=1.0):
    """One run a seed, whose accuracy is that of its twin, .5, and a difference."""
    for seed, difference in enumerate(differences):
        rows = [
            ["own", 0.1, 0.5 + difference, 0.4, 0.9, 500, verdicts[0]],
            ["twin", 0.1, 0.5, 0.4, 0.6, 500, verdicts[1]],
        ]
        place = run(folder, alpha=alpha, seed=seed, parts=())
        evaluated.write_part(place, "defence", {"epsilon": 0.1}, {"defence": rows[: 1 + (alpha > 0)]})
    return section_display.section_summary(part_of(folder, "defence"))[1][-1]


@pytest.mark.parametrize(
    ("differences", "word", "how"),
    [
        ((0.1, 0.12, 0.14), "more", "95 % interval, 3 seeds"),
        ((-0.1, -0.12, -0.14), "less", "95 % interval, 3 seeds"),
        ((0.1, 0.4, -0.1), "not settled", "95 % interval, 3 seeds"),
        ((0.1, 0.1, 0.1), "not settled", "95 % interval, 3 seeds"),
        ((0.1, 0.12), "too few seeds", "2 seeds"),
        ((0.3,), "too few seeds", "1 seed"),
    ],
)
def test_a_model_has_more_or_less_than_its_twin_only_where_the_seeds_settle_it(tmp_path, differences, word, how):
    sentence = defence_with(tmp_path, differences)
    assert sentence.startswith(f"{word}; ")
    assert sentence.endswith(f"({how}).")


@pytest.mark.parametrize(
    ("verdicts", "doubt"),
    [
        (("masked", "holds"), "; but own is masked in 3 of 3 runs, so this may be an illusion."),
        (("holds", "inconclusive"), "; but twin is inconclusive in 3 of 3 runs, so this is not confirmed."),
        (
            ("inconclusive", "masked"),
            "own is inconclusive in 3 of 3 runs, and twin is masked in 3 of 3 runs, so this may be",
        ),
    ],
)
def test_a_comparison_names_the_verdicts_against_it(tmp_path, verdicts, doubt):
    assert doubt in defence_with(tmp_path, (0.1, 0.12, 0.14), verdicts)


def test_the_page_has_the_differences_and_the_accuracies_at_equal_clean_accuracy(page):
    for title, count in (
        ("Perturbation, against the twin", 8),
        ("Defence, against the twin", 4),
        ("Defence, at equal clean accuracy", 7),  # six configurations and the classifier alone
    ):
        assert len(page.tables[page.titles.index(title)]) == 1 + count
    assert "Holm's method for 4 comparisons" in page.seen()


def test_models_trained_without_saturation_have_nothing_to_compare(tmp_path):
    assert "No run has a twin trained with alpha=0" in defence_with(tmp_path, (0.1,), alpha=0.0)


def differences(folder, name="defence"):
    """The table of differences of a part, as dictionaries."""
    _, groups, found = gathered(folder)
    section = next(section for section in found.sections if section.name == name)
    table = section_display.differences_table(section, [*groups[0].values])
    return table, [dict(zip(table.head, row, strict=True)) for row in table.rows]


def test_a_difference_must_be_settled_beside_all_others_of_its_table(tmp_path):
    settled_alone = (0.1, 0.12, 0.16)  # p = .019
    defence_with(tmp_path / "alone", settled_alone)
    (row,) = differences(tmp_path / "alone")[1]
    assert row["p"] == row["p, corrected"] == "0.019"
    assert row["own has"] == "more"
    for alpha in (0.1, 0.2, 0.3):
        defence_with(tmp_path, settled_alone if alpha == 0.1 else (0.1, 0.4, -0.1), alpha=alpha)
    table, found = differences(tmp_path)
    assert "Holm's method for 3 comparisons" in table.caption
    assert [row["own has"] for row in found] == ["not settled"] * 3
    assert [row["p"] for row in found] == ["0.019", "0.46", "0.46"]
    assert [row["p, corrected"] for row in found] == ["0.057", "0.91", "0.91"]
    assert found[0]["difference"].startswith("+0.127 ± 0.076".replace(" ", "\N{NO-BREAK SPACE}"))
    assert (found[0]["n"], found[0]["inputs"]) == ("3", "500")
    assert section_display.section_summary(part_of(tmp_path, "defence"))[1][0].startswith("alpha=0.1: not settled; ")


def test_differences_of_too_few_seeds_are_not_tested(tmp_path):
    defence_with(tmp_path, (0.1, 0.12))
    table, (row,) = differences(tmp_path)
    assert "fewer than 3 seeds are too few for a test" in table.caption
    assert (row["p"], row["p, corrected"], row["own has"]) == (NOTHING, NOTHING, "too few seeds")


def test_numbers_of_different_outputs_are_corrected_together(whole):
    table, found = differences(whole, "perturbation")
    assert [row["number"] for row in found[:2]] == ["change of the code", "change of the reconstruction"]
    assert len(found) == 2 * len(ACTS) * (len(ALPHAS) - 1)
    assert f"for {len(found)} comparisons" in table.caption
    assert not any("[" in row["difference"] for row in found)


def test_a_difference_over_inputs_has_newcombes_interval():
    def summary(**hits):
        known = {name: fraction_estimate(*of) for name, of in hits.items()}
        numbers = {name: one.value for name, one in known.items()}
        intervals = {name: (one.low, one.high) for name, one in known.items()}
        return PartSummary({}, "", None, [], [], numbers=numbers, intervals=intervals)

    one = summary(own=(56, 70), twin=(48, 80))  # the first example of Newcombe (1998)
    low, high = section_display.difference_over_inputs([one], "own", "twin")
    assert (low, high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    swapped = section_display.difference_over_inputs([one], "twin", "own")
    assert swapped == pytest.approx((-high, -low))
    assert section_display.difference_over_inputs([one, one], "own", "twin") == pytest.approx((low, high))
    assert section_display.difference_over_inputs([one], "own", "gone") is None


# the file


def test_evaluation_csv_has_every_row_of_every_table(whole, page):
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


def test_evaluation_csv_is_written_part_by_part(whole):
    source, groups, found = gathered(whole)
    chunks = [*encode_evaluations(source, groups, found)]
    assert len(chunks) == 1 + 18 * len(PARTS)
    assert all(chunk.endswith(b"\r\n") for chunk in chunks)


# the pictures


PICTURES = ("denoising_curves.png", "defence_accuracy.png")


def with_pictures(place):
    for name in PICTURES:
        (place / EVALUATION_FOLDER / name).write_bytes(png(random.Random(0), side=8))


@pytest.mark.parametrize(("runs", "shown"), [(1, 2), (4, 8), (5, 0)])
def test_pictures_of_a_few_runs_are_shown_with_captions(tmp_path, runs, shown):
    for seed in range(runs):
        with_pictures(run(tmp_path, seed=seed, pictures=PICTURES))
    page = Page(write_report([tmp_path]))
    images = page.all("img")
    assert len(images) == shown
    assert ("The same for each run" in page.seen()) == (runs == 4)
    assert all(len(image["alt"]) > 40 and "seed=" in image["alt"] for image in images)


def test_only_pictures_of_the_evaluation_are_shown(tmp_path):
    names = ["defence_../../../x.png", "defence_accuracy.png", "defence_spoilt.png", "defence_gone.png", 3]
    place = run(tmp_path, parts=())
    headline, tables = results("relu", 0.1, 0)["defence"]
    evaluated.write_part(place, "defence", headline, tables, names)
    with_pictures(place)
    (place / EVALUATION_FOLDER / "defence_spoilt.png").write_bytes(b"<svg onload=alert(1)>")
    page = Page(write_report([place]))
    assert len(page.all("img")) == 1
    assert "defence_spoilt.png of act=relu,alpha=0.1,seed=0 is not shown: it is not a PNG file." in page.seen()
    assert "defence_gone.png of act=relu,alpha=0.1,seed=0 is not shown: No such file" in page.seen()


# files from strangers


def spoilt(place, **changed):
    """The result of a part with something else in it."""
    path = place / EVALUATION_FOLDER / "manifold.json"
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
        ({"key": key(part="code")}, "it is not a result of satae-eval"),
        ({"key": 3}, "it is not a result of satae-eval"),
        ({"key": {}}, "it is not a result of satae-eval"),
        ({"headline": []}, "it is not a result of satae-eval"),
        ({"headline": {str(n): 1 for n in range(300)}}, "it is too large"),
        ({"tables": {}}, "it is not a result of satae-eval"),
        ({"tables": [3]}, "it is not a result of satae-eval"),
        ({"tables": one_table() * 30}, "it is too large"),
        ({"tables": one_table(name=3)}, "it is not a result of satae-eval"),
        ({"tables": one_table(rows=[["x"]])}, "it is not a result of satae-eval"),
        ({"tables": one_table(rows=[[]] * 6000)}, "it is too large"),
        ({"tables": one_table(rows=[["x", True, *[0.5] * 4, 9, 9]])}, "it is not a result of satae-eval"),
        ({"tables": one_table(rows=[["x", 1e200, *[0.5] * 4, 9, 9]])}, "a number in it is too large"),
        ({"tables": one_table(rows=[["x", 10**400, *[0.5] * 4, 9, 9]])}, "it is not a result of satae-eval"),
        ({"tables": one_table(rows=[["x", HOSTILE, *[0.5] * 4, 9, 9]])}, "is not a number"),
        ({"tables": one_table(rows=[["x", 0.5, *[0.5] * 4, 9.5, 9]])}, "9.5: is not a number of inputs"),
        ({"tables": one_table(rows=[[None, 0.5, *[0.5] * 4, 9, 9]])}, "null: is not a name"),
        ({"tables": one_table(columns=["against", *"abcdefg"])}, "it lacks auroc"),
        ({"tables": one_table(columns=["against"] * 8)}, "it is not a result of satae-eval"),
        ({"pictures": None}, "it is not a result of satae-eval"),
    ],
)
def test_an_invalid_result_is_left_out_with_a_note(tmp_path, changed, told):
    sweep(tmp_path, acts=["relu"], alphas=[0.1], parts=["manifold"])
    spoilt(tmp_path / "act=relu,alpha=0.1,seed=0", **changed)
    (note,) = gathered(tmp_path)[2].notes
    assert note.startswith("evaluation/manifold.json of act=relu,alpha=0.1,seed=0 is left out: ")
    assert note.endswith(f"{told}.")
    assert [run.seed for run in part_of(tmp_path, "manifold").groups[0].runs] == [1, 2]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is torn, or not JSON"),
        (b'{"key": {', "it is torn, or not JSON"),
        (b"\xff\xfe", "it is not a result of satae-eval"),
        (b"[" * 100_000, "it is not a result of satae-eval"),
        (b" " * (result.MAX_JSON_BYTES + 1), "it is too large"),
        (b"[" + b"9" * 10_000 + b"]", ""),
        (b"null", "it is not a result of satae-eval"),
        (None, "it is not a file"),
    ],
)
def test_an_invalid_file_is_left_out_with_a_note(tmp_path, content, told):
    place = run(tmp_path, parts=["code"])
    path = place / EVALUATION_FOLDER / "code.json"
    path.unlink()
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    seen = Page(write_report([tmp_path])).seen()
    assert f"evaluation/code.json of {place.name} is left out: {told}" in seen


def test_nothing_in_an_evaluation_is_run_or_loaded_by_the_page(tmp_path):
    for alpha in (0.0, 1.0):
        place = run(tmp_path, alpha=alpha)
        spoilt(place, tables=one_table(rows=[[HOSTILE, *[0.5] * 5, 9, 9]], columns=one_table()[0]["columns"]))
        kinds = results("relu", alpha, 0)["denoising"]
        for row in kinds[1]["denoising"]:
            row[0] = HOSTILE if row[0] == "gaussian" else "=1+1"
        evaluated.write_part(place, "denoising", *kinds, **{HOSTILE: HOSTILE})
    page = Page(write_report([tmp_path]))
    assert "alert(1)" in page.seen()
    assert "script" not in {name for name, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\u202e" not in page.content
    assert "'=1+1" in {row["noise"] for row in rows(tmp_path / "report" / "evaluation.csv")}


def test_an_accuracy_with_an_unknown_verdict_is_left_out(tmp_path):
    place = run(tmp_path, parts=())
    headline, tables = results("relu", 0.1, 0)["defence"]
    tables["defence"][0][-1] = "unbreakable"
    evaluated.write_part(place, "defence", headline, tables)
    seen = Page(write_report([tmp_path])).seen()
    assert "alone: unbreakable: no model, or no verdict, that is known." in seen
    assert "(unbreakable)" not in seen


@pytest.mark.parametrize("place", ["folder", "link"])
def test_an_evaluation_that_is_no_folder_is_ignored(tmp_path, place):
    one = made.whole(tmp_path / "0")
    if place == "link":
        (one / EVALUATION_FOLDER).symlink_to("/nowhere")
    else:
        (one / EVALUATION_FOLDER).write_text("x")
    assert "satae-eval" not in Page(write_report([tmp_path])).seen()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(["key", "headline", "tables", "pictures", "rows", "cell"]), st.sampled_from([*PARTS]), JSON)
@settings(max_examples=150, deadline=None)
def test_odd_results_do_not_break_the_page(tmp_path_factory, where, part, odd):
    folder = tmp_path_factory.mktemp("odd")
    headline, tables = evaluated.results(0.1, random.Random(0))[part]
    name = next(iter(tables))
    if where == "rows":
        tables[name] = odd
    if where == "cell":
        tables[name][0] = [odd for _ in tables[name][0]]
    place = made.whole(folder / "0", pictures=())
    evaluated.write_part(place, part, headline, tables)
    path = place / EVALUATION_FOLDER / f"{part}.json"
    if where not in ("rows", "cell"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {where: odd}))
    source, groups, found = gathered(folder)
    assert found.notes or found.runs
    assert b"".join(encode_evaluations(source, groups, found))


def test_the_page_does_not_import_torch(tmp_path):
    run(tmp_path)
    program = (
        "import sys; from pathlib import Path; from satae.page.writing import write_report;"
        " write_report([Path(sys.argv[1])]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program, str(tmp_path)], check=True)
