"""The benchmarks' logic: what is counted, what is compared with what, and when a ratio may not be believed."""

import ast
import json
import math
import subprocess
import sys

import numpy
import pytest
import torch
from program import ROOT, TINY

from benchmarks import (
    answer,
    compare,
    evaluation,
    export_gap,
    growth,
    launchers,
    plan,
    report,
    soak,
    sweep_soak,
    synthetic,
    tools,
    workloads,
)
from benchmarks.machine import Quiet, Times, parse, quiet, settle
from benchmarks.measurement import Measurement, Quantity
from benchmarks.power_law import exponent
from benchmarks.rows import ROWS, Row, result
from benchmarks.satae_runs import overhead
from benchmarks.side_costs import Clocks, clocked
from benchmarks.validity import losses_differ, refusals
from benchmarks.workloads import WORKLOADS, gemm_flops, sizes, steps
from satae.export import TOLERANCE
from satae.robustness.attack_suite import Budget
from satae.robustness.norm_ball import NormBall
from satae.training import checkpoint
from satae.training.checkpoint import checkpoint_path

IDLE, BUSY = Quiet(0.01, 0.0), Quiet(0.5, 0.0)
SPEED = Row("speed", Quantity("W1", "satae", "samples_per_s"), Quantity("W1", "lightning", "samples_per_s"), 2.0, 3.0)
SEEDS = [0.100, 0.102, 0.098, 0.101, 0.099]


def series(tool, speeds, losses=SEEDS, quiet=IDLE):
    return [
        Measurement("W1", tool, n, quiet, {"samples_per_s": speed}, (loss,))
        for n, (speed, loss) in enumerate(zip(speeds, losses, strict=False))
    ]


def test_a_step_of_w1_is_564_mflop():
    assert gemm_flops(WORKLOADS["W1"].widths) * 128 == pytest.approx(564e6, rel=0.01)


def test_flops_of_a_two_layer_network_equal_a_count_by_hand():
    assert sizes((10,)) == (784, 10, 784)
    assert gemm_flops((10,)) == 2 * 10 * 784 * (2 + 2 + 1)  # forward, weights; inputs of the second layer alone


def test_the_last_batch_of_an_epoch_may_be_smaller():
    assert steps(54_000, 2) == 844
    assert steps(256, 3) == 6


def test_a_ratio_is_taken_within_each_alternation():
    found = result(SPEED, [*series("satae", [10, 40, 90, 30, 30]), *series("lightning", [10, 20, 30, 10, 10])])
    assert found.values == (1, 2, 3, 3, 3)
    assert (found.median, found.verdict) == (3, "aim")


def test_a_failed_measurement_is_reported_and_drops_its_alternation():
    broken = Measurement("W1", "lightning", 0, IDLE, failed="no memory")
    found = result(
        SPEED, [*series("satae", [10, 20, 30, 40, 50]), broken, *series("lightning", [9, 10, 10, 10, 10])[1:]]
    )
    assert found.values == (2, 3, 4, 5)
    assert found.verdict == "not valid: lightning failed"


@pytest.mark.parametrize(("speed", "verdict"), [(10, "missed"), (25, "floor"), (30, "aim")])
def test_the_median_decides_the_verdict(speed, verdict):
    assert result(SPEED, [*series("satae", [speed] * 5), *series("lightning", [10] * 5)]).verdict == verdict


def test_the_verdict_is_reversed_if_less_is_better():
    row = Row("cost", SPEED.over, None, 0.05, 0.02, less_is_better=True)
    verdicts = [result(row, series("satae", [cost] * 5)).verdict for cost in (0.01, 0.03, 0.06)]
    assert verdicts == ["aim", "floor", "missed"]


def test_an_unmeasured_row_is_left_out():
    assert result(SPEED, []) is None


def test_five_quiet_alternations_with_equal_losses_are_valid():
    assert refusals(series("satae", [1] * 5), series("lightning", [1] * 5)) == []


def test_fewer_alternations_are_refused():
    assert refusals(series("satae", [1] * 4), series("lightning", [1] * 5)) == ["fewer than 5 alternations"]


def test_less_than_the_whole_work_is_refused():
    assert refusals(series("satae", [1] * 5), series("lightning", [1] * 5), 1280) == ["only 1280 images"]


def test_a_peer_that_was_not_measured_is_refused():
    assert refusals(series("satae", [1] * 5), []) == ["not measured"]


def test_a_busy_machine_is_refused():
    disturbed = [*series("lightning", [1] * 4), Measurement("W1", "lightning", 4, BUSY, {"samples_per_s": 1}, (0.1,))]
    assert refusals(series("satae", [1] * 5), disturbed) == ["machine busy (1 of 10)"]


def test_other_losses_are_refused():
    other = series("lightning", [1] * 5, [loss + 0.006 for loss in SEEDS])
    assert refusals(series("satae", [1] * 5), other) == ["losses differ: 0.1000 and 0.1060"]


def test_losses_within_seed_noise_agree():
    assert not losses_differ(SEEDS, [loss + 0.002 for loss in SEEDS])


def test_losses_that_no_seed_changes_may_differ_by_rounding():
    assert not losses_differ([0.1] * 5, [0.1005] * 5)
    assert losses_differ([0.1] * 5, [0.103] * 5)


def test_noisy_seeds_excuse_no_large_difference():
    noisy = [0.05, 0.1, 0.15, 0.2, 0.25]
    assert losses_differ(noisy, [loss * 1.2 for loss in noisy])


def test_losses_of_one_seed_do_not_agree():
    assert losses_differ([0.1], [0.1]) == "one seed says nothing of seed noise"


def test_a_loss_that_is_not_finite_never_agrees():
    assert losses_differ([math.nan, 0.1], [0.1, 0.1]) == "losses differ: not finite"


def test_use_of_the_machine_is_read_from_the_kernel():
    before = parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n")
    after = parse("cpu  250 0 100 900 50 0 0 20 7 0\n")
    assert before == Times(150, 0, 1000)
    assert quiet(before, after, ours=136) == Quiet(0.2, 0.0625)
    assert quiet(before, after, ours=500).others == 0


@pytest.mark.parametrize(("shares", "disturbed"), [((0.05, 0.01), False), ((0.2, 0), True), ((0, 0.05), True)])
def test_much_use_by_others_or_the_host_disturbs(shares, disturbed):
    assert Quiet(*shares).disturbed is disturbed


def test_waiting_ends_when_the_machine_is_idle_or_the_time_is_over():
    looks = iter([BUSY, BUSY, IDLE])
    assert settle(lambda: next(looks), patience=60) == IDLE
    assert settle(lambda: BUSY, patience=0) == BUSY


def test_a_disturbed_measurement_is_repeated():
    made = []

    def once(quiet):
        made.append(Measurement("W1", "loop", 0, quiet))
        return made[-1]

    rest = iter([BUSY, IDLE])
    assert plan.repeated_if_disturbed(lambda: once(next(rest))).quiet == IDLE
    assert plan.repeated_if_disturbed(lambda: once(BUSY)).quiet == BUSY
    assert len(made) == 4


def test_the_order_of_tools_is_turned_round_in_every_second_alternation():
    tasks = [("start", tool) for tool in plan.PLAN["start"]]
    assert plan.plan(["start"], 0) == tasks == plan.plan(["start"], 1)[::-1]


def test_tools_of_a_row_are_measured_in_every_alternation_and_others_in_the_first():
    every = {*plan.plan([*plan.PLAN], plan.ORIENTATION)}
    assert every == {*plan.plan([*plan.PLAN], 0)} - plan.FOR_ORIENTATION
    in_rows = {(quantity.workload, quantity.tool) for row in ROWS for quantity in (row.over, row.under) if quantity}
    assert in_rows <= every


def test_commands_at_once_print_the_last_line_of_each_in_their_order(tmp_path):
    from benchmarks import at_once

    commands = [[sys.executable, "-c", f"print('first'); print({number})"] for number in range(3)]
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    outcome = subprocess.run(
        [sys.executable, at_once.__file__, tmp_path / "commands.json", "2"], stdout=subprocess.PIPE, text=True
    )
    assert outcome.stdout.split() == ["0", "1", "2"]


def test_a_command_that_is_repeated_is_told_its_number(tmp_path, monkeypatch, capsys):
    from benchmarks import repeat

    monkeypatch.setattr("sys.argv", ["repeat", "2", "touch", f"{tmp_path}/{{}}"])
    repeat.main()
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2"}
    assert json.loads(capsys.readouterr().out)["wall_s"] > 0


def test_two_jobs_at_once_have_two_seconds_of_work_per_second():
    assert overhead(10, 1, [2.0, 2.0]) == 3
    assert overhead(10, 2, [8.0, 8.0]) == 2


def test_every_timed_part_of_a_run_is_measured(tmp_path):
    from benchmarks.side_costs import train

    clocks = Clocks()
    with clocked(clocks):
        training = train(tmp_path / "run", list(TINY))
    assert clocks.seconds["logging"] > 0
    assert clocks.seconds["measuring"] > 0
    assert training > 0


def test_nested_timers_do_not_count_twice():
    clocks = Clocks()
    inner = clocks.around(lambda: None, "measuring")
    clocks.around(inner, "logging")()
    assert clocks.seconds["logging"] > clocks.seconds["measuring"] == 0
    inner()
    assert clocks.seconds["measuring"] > 0


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_exponent_of_a_power_law_is_recovered(power):
    xs = [10.0, 100.0, 1000.0, 5000.0]
    assert exponent(xs, [3 * x**power for x in xs]) == pytest.approx(power)


@pytest.mark.parametrize(("xs", "ys"), [([1], [1]), ([1, 2], [0, 1])])
def test_one_point_or_a_zero_gives_no_exponent(xs, ys):
    with pytest.raises(ValueError, match="two points or more, all of them positive"):
        exponent(xs, ys)


def test_every_row_is_measured_by_some_tool():
    planned = {(workload, tool) for workload, tools in plan.PLAN.items() for tool in tools}
    quantities = [quantity for row in ROWS for quantity in (row.over, row.under) if quantity]
    assert {(quantity.workload, quantity.tool) for quantity in quantities} <= planned
    assert {tool for _, tool in planned} == tools.TOOLS.keys()


def test_the_command_lines_of_benchmarks_compose(configuration, tmp_path):
    there = tools.Setting(*[tmp_path] * 4, jobs=1, limit=None)
    w1, w2 = (configuration(*tools.words(there, name, "satae")) for name in ("W1", "W2"))
    assert (w1.arch.widths, w1.batch_size, w1.epochs, w1.init) == ([512, 64], 128, 2, "torch")
    assert (w2.arch.channels, w2.arch.code, w2.data.limit) == ([32, 64], 64, 20_000)


def test_options_are_checked_and_a_smoke_test_is_short(capsys):
    quick = compare.parse(["--quick", "--only", "W1,small,W1"])
    assert (quick.alternations, quick.limit, quick.patience, quick.only) == (2, compare.QUICK, 0, ["W1", "small"])
    assert compare.parse([]).alternations == 5
    with pytest.raises(SystemExit):
        compare.parse(["--only", "W9"])
    assert "no W9; choose of W1" in capsys.readouterr().err


def test_a_large_array_is_written_in_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "NUMBERS", 12)
    synthetic.write_array(tmp_path / "x.npy", 10, 4)
    array = numpy.load(tmp_path / "x.npy")
    assert (array.shape, array.dtype) == ((10, 4), numpy.float32)
    assert len(numpy.unique(array)) == 40


def test_each_series_of_growth_varies_one_number():
    commands = {series.name: series.command(3) for series in growth.SERIES}
    assert commands["width"][0] == "arch.widths=[3]"
    assert commands["depth"][0] == "arch.widths=[128,128,128]"
    assert commands["runs"][-1] == "seed=0,1,2"
    assert "batch_size=3" in commands["batch"]
    assert growth.SERIES[0].command(10**9) == ["arch.widths=[16]", "epochs=2"]


def test_the_report_names_invalid_measurements(tmp_path):
    found = [*series("satae", [30.0] * 5), *series("lightning", [10.0] * 5, quiet=BUSY)]
    text = report.write(tmp_path, found, {"cores": 2}, None)
    assert (
        "| W1 satae, samples/s against lightning | 3.00 | 3.00 to 3.00 | 2.90 | 3.60 | not valid: machine busy" in text
    )
    assert "Disturbed in the end: W1 lightning in alternation 1" in text
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.json", "report.png"}


def test_the_state_of_a_run_before_and_after_resuming_differs(tmp_path):
    assert soak.directory_state(tmp_path, None) == "nothing written yet"
    (tmp_path / "run.json").write_text('{"resumed": [1]}')
    assert soak.directory_state(tmp_path, 1) == "before it resumed"
    assert soak.directory_state(tmp_path, 0) == soak.directory_state(tmp_path, None) == "no checkpoint yet"
    (tmp_path / "run.json").write_text("{}")
    assert soak.directory_state(tmp_path, 0) == "before it resumed"


def test_a_printed_step_without_its_checkpoint_ends_the_soak(tmp_path):
    told = "interrupted: stopped at step 1,024, after 3 epochs"
    soak.check_printed_step(tmp_path, "nothing of the kind")
    with pytest.raises(SystemExit, match="no checkpoint of step 1,024"):
        soak.check_printed_step(tmp_path, told)
    checkpoint.save(checkpoint_path(tmp_path, 1024), checkpoint.State({"step": 1024}, {}))
    soak.check_printed_step(tmp_path, told)


@pytest.mark.parametrize("other", [torch.ones(2, 1), torch.ones(1), torch.ones(2).int(), torch.tensor([1.0, 2.0])])
def test_tensors_of_another_shape_or_type_are_not_the_same(other):
    assert soak.same({"x": torch.ones(2)}, {"x": torch.ones(2)})
    assert not soak.same({"x": torch.ones(2)}, {"x": other})
    assert not soak.same({"x": other}, {"x": torch.ones(2)})
    assert not soak.same({}, {"x": other})


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "peers").glob("*.py")), ids=lambda path: path.stem)
def test_peers_import_only_the_workloads(path):
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    ours = {module for module in modules if module.partition(".")[0] in ("satae", "benchmarks")}
    assert all(module == "benchmarks.workloads" or module.startswith("benchmarks.peers.") for module in ours)


def test_workloads_import_no_library():
    modules = {name.partition(".")[0] for name in vars(workloads) if not name.startswith("_")}
    assert not modules & {"torch", "numpy", "satae"}


@pytest.mark.slow
def test_a_killed_sweep_ends_like_an_undisturbed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_soak, "WORDS", [*TINY, "sweep=soak", "alpha=0,0.1"])
    monkeypatch.setattr(sweep_soak, "RUNS", 2)
    (tmp_path / "whole").mkdir()
    assert sweep_soak.run_sweep(tmp_path / "whole").wait() == 0
    assert sweep_soak.kill_and_resume(tmp_path, 0, patience=0.5) <= 2
    table = tmp_path / "whole" / sweep_soak.PLACE / "runs.csv"
    table.write_text(table.read_text("utf-8").replace("finished", "failed"), "utf-8")
    with pytest.raises(SystemExit, match="the tables differ"):
        sweep_soak.kill_and_resume(tmp_path, 1, patience=60)


def test_a_launchers_cost_is_the_time_outside_its_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(launchers, "WORDS", [*TINY, "sweep=s", "alpha=0,0.1"])
    sweep = launchers.make("basic", tmp_path / "basic")
    assert launchers.untimed(sweep).keys() == {"alpha=0", "alpha=0.1"}
    assert sweep.jobs == 1
    inside = sum(run["wall_s"] for run in sweep.runs.values())
    assert 0 < sweep.outside_record_s == pytest.approx((sweep.wall_s - inside) / 2)


@pytest.mark.slow
def test_the_export_gap_is_measured(tmp_path):
    tiny = [word for word in TINY if word not in ("epochs=2", "threads=1")]  # every run of the benchmark has them
    run = export_gap.train(tmp_path, "gelu", tiny)  # gelu has no output reading
    assert 0 <= export_gap.export_difference(run, "torch_export") < TOLERANCE


def test_passes_are_counted_by_examples_with_and_without_gradient():
    model, x, y = torch.nn.Linear(3, 2), torch.rand(8, 3), torch.zeros(8, dtype=torch.long)

    def attack(counted, x, y):
        with torch.no_grad():
            counted(x.requires_grad_())
        counted(x[:4])
        counted(x.detach()[:2])

    figures = evaluation.measure("some", "pass", 0, model, attack, x, y).figures
    assert (figures["forward"], figures["both"]) == (10 / 8, 4 / 8)
    assert figures["multiple"] > 0


@pytest.mark.parametrize(("peer", "ours"), evaluation.PEERS.items())
def test_an_attack_and_its_peer_make_the_same_number_of_passes(peer, ours):
    pytest.importorskip("pyautoattack")
    pytest.importorskip("foolbox")
    plan = evaluation.Plan(4, (), Budget(steps=7, restarts=2, queries=20), 1, ())
    passes = evaluation.attack_passes(plan, NormBall("linf", 1e-4))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 10), torch.nn.ReLU(), torch.nn.Linear(10, 10))
    x = torch.rand(4, 1, 4, 4)
    y = model(x).argmax(dim=1)
    made = []
    for name in (peer, ours):
        counted = evaluation.CountedModel(model)
        passes[name](counted, x, y)
        made.append((counted.forward_only + counted.with_gradient) / len(x))
    assert made[0] == pytest.approx(made[1], abs=5)  # the clean inputs, and the points at the ends


@pytest.mark.slow
def test_the_answer_is_measured_once_and_compared_seed_by_seed(tmp_path, monkeypatch):
    pytest.importorskip("pyautoattack")
    monkeypatch.chdir(tmp_path)
    quick = ("defence.epsilons=[0.1]", "defence.steps=2", "defence.restarts=1", "defence.queries=5")
    row = answer.Row("small", (*TINY, "act=satlin", "noise=none"), attack=quick)
    for evaluate in (answer.EVALUATE, "a program that does not exist"):
        monkeypatch.setattr(answer, "EVALUATE", evaluate)
        for run in answer.train(row, 2, []):
            answer.attack(row, run, "plain", 5)
    first, last = answer.lines(row, "plain", 5)
    assert [line.left[2:5] for line in (first, last)] == [["0", "2", "5"], ["1", "2", "5"]]
    assert (first.change.n, last.change.n) == (0, 2)
    assert len(first.programs | last.programs) == 1
    for line in (first, last):
        clean, left, library = (float(cell.split()[0]) for cell in line.left[5:])
        assert left <= library <= clean
