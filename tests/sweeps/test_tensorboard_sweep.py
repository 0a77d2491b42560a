"""A sweep, as TensorBoard itself reads it."""

import json
import shutil
from types import SimpleNamespace

import pytest
from made import read_all, run
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.context import RequestContext
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups, plugin_data_pb2
from torch.utils.tensorboard import SummaryWriter

from satae.sweeps import manifest
from satae.sweeps.tensorboard_sweep import show_sweep, start_sweep, update_run


def show(sweep):
    show_sweep(sweep, read_all(sweep))


def made(sweep, *, seeds=(0, 1), alphas=(0.0, 0.1), status="finished", error=None):
    """A sweep whose fvu falls by .1 an epoch, from alpha + seed on."""
    for alpha in alphas:
        for seed in seeds:
            history = [{"epoch": epoch, "valid/fvu": alpha + seed - 0.1 * epoch} for epoch in (1, 2)]
            folder = sweep / f"alpha={alpha:g},seed={seed}"
            run(folder, history[-1], status=status, alpha=alpha, seed=seed, history=history, error=error)
            with SummaryWriter(str(folder)) as writer:
                writer.add_scalar("valid/fvu", history[-1]["valid/fvu"], 2)
    return sweep


def read(folder):
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def band(folder):
    shown = read(folder)
    return {
        tag: [(event.step, round(event.value, 4)) for event in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]
    }


@pytest.fixture
def groups():
    """What TensorBoard's HParams plugin makes of a folder."""

    def found(folder, *columns):
        multiplexer = plugin_event_multiplexer.EventMultiplexer()
        multiplexer.AddRunsFromDirectory(str(folder))
        multiplexer.Reload()
        provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
        context = backend_context.Context(SimpleNamespace(data_provider=provider))
        request = api_pb2.ListSessionGroupsRequest(
            start_index=0,
            slice_size=100,
            aggregation_type=api_pb2.AGGREGATION_AVG,
            allowed_statuses=[0, 1, 2, 3],
            col_params=[api_pb2.ColParams(metric=api_pb2.MetricName(tag="valid/fvu")), *columns],
        )
        ours = RequestContext()
        experiment = get_experiment.Handler(ours, context, "x", api_pb2.GetExperimentRequest()).run()
        metadata = context.hparams_metadata(ours, "x")
        handler = list_session_groups.Handler(ours, context, "x", request)
        assert metadata
        return experiment, handler.run().session_groups

    return found


def test_seeds_are_sessions_of_one_group_with_their_mean(tmp_path, groups):
    show(made(tmp_path))
    experiment, found = groups(tmp_path)
    assert {group.name: len(group.sessions) for group in found} == {"alpha=0": 2, "alpha=0.1": 2}
    means = {group.name: group.metric_values[0].value for group in found}
    assert means == {"alpha=0": pytest.approx(0.3), "alpha=0.1": pytest.approx(0.4)}
    (info,) = experiment.hparam_infos
    assert (info.name, info.type) == ("alpha", api_pb2.DATA_TYPE_FLOAT64)
    assert [value.number_value for value in info.domain_discrete.values] == [0.0, 0.1]


def test_the_end_of_a_run_is_its_status(tmp_path, groups):
    made(tmp_path, alphas=(0.0,))
    made(tmp_path, alphas=(0.1,), status="failed", error="NonFiniteLoss: nan")
    made(tmp_path, alphas=(1.0,), status="running")
    show(tmp_path)
    found = {session.name: session.status for group in groups(tmp_path)[1] for session in group.sessions}
    assert {name.rpartition("/")[2]: status for name, status in found.items()} == {
        **{f"alpha=0,seed={seed}": api_pb2.STATUS_SUCCESS for seed in (0, 1)},
        **{f"alpha=0.1,seed={seed}": api_pb2.STATUS_FAILURE for seed in (0, 1)},
        **{f"alpha=1,seed={seed}": api_pb2.STATUS_UNKNOWN for seed in (0, 1)},
    }


@pytest.mark.parametrize(("now", "shown"), [("finished", api_pb2.STATUS_SUCCESS), ("running", api_pb2.STATUS_UNKNOWN)])
def test_a_resumed_run_has_its_present_status(tmp_path, groups, now, shown):
    made(tmp_path, alphas=(0.0,), status="failed", error="OSError: full")
    show(tmp_path)
    for folder in tmp_path.glob("alpha=*"):
        record = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**record, "status": now}))
        update_run(folder)
    statuses = [session.status for group in groups(tmp_path)[1] for session in group.sessions]
    assert statuses == [shown] * 2


def test_the_band_of_a_configuration_is_a_run_of_its_own(tmp_path):
    show(made(tmp_path))
    shown = band(tmp_path / "over seeds" / "alpha=0.1")
    assert shown["valid/fvu"] == [(1, 0.5), (2, 0.4)]
    half = 12.7062 * 0.5  # of (0, 1): t = 12.7062, deviation .7071, two seeds
    assert shown["within/valid/fvu/upper"] == [
        (1, pytest.approx(0.5 + half, abs=1e-3)),
        (2, pytest.approx(0.4 + half, abs=1e-3)),
    ]
    assert shown["within/valid/fvu/lower"] == [(1, 0.0), (2, 0.0)]  # no fvu is negative


def test_a_new_seed_changes_its_band_without_repeated_steps(tmp_path):
    show(made(tmp_path))
    made(tmp_path, seeds=(2,))
    update_run(tmp_path / "alpha=0.1,seed=2")
    assert band(tmp_path / "over seeds" / "alpha=0.1")["valid/fvu"] == [(1, 1.0), (2, 0.9)]
    assert band(tmp_path / "over seeds" / "alpha=0")["valid/fvu"] == [(1, 0.4), (2, 0.3)]


def test_one_seed_has_no_band(tmp_path):
    show(made(tmp_path, seeds=(0,)))
    assert not list((tmp_path / "over seeds").glob("*/events*"))


def test_a_second_finish_writes_nothing(tmp_path):
    show(made(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("events*")}
    show(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("events*")} == before


def test_event_files_are_sorted_as_session_numbers_end(tmp_path):
    folder = run(tmp_path / "seed=0", status="running")
    update_run(folder)
    with SummaryWriter(str(folder)) as writer:
        writer.add_scalar("valid/fvu", 1, 1)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "status": "finished"}))
    update_run(folder)
    names = sorted(path.name for path in folder.glob("events*"))
    assert [name.endswith(kind) for name, kind in zip(names, (".session", "", ".end"), strict=True)] == [True] * 3


def test_the_layout_has_a_chart_with_a_band_for_each_measure(tmp_path):
    from tensorboard.plugins.custom_scalar import layout_pb2

    show(made(tmp_path))
    shown = read(tmp_path)
    layout = layout_pb2.Layout.FromString(shown.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    (bands,) = [category for category in layout.category if category.title.startswith("over seeds")]
    series = [chart.margin.series[0] for chart in bands.chart]
    assert ("within/valid/fvu/mean", "within/valid/fvu/lower", "within/valid/fvu/upper") in [
        (one.value, one.lower, one.upper) for one in series
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((None, 200, 1000), api_pb2.DATA_TYPE_FLOAT64),
        ((None, 0.5), api_pb2.DATA_TYPE_FLOAT64),
        ((None, *range(1, 20)), api_pb2.DATA_TYPE_FLOAT64),
        ((None, "a", "b"), api_pb2.DATA_TYPE_STRING),
        ((None, True, False), api_pb2.DATA_TYPE_BOOL),
        ((None, [1, 2], [3]), api_pb2.DATA_TYPE_STRING),
    ],
)
def test_a_column_with_nulls_can_be_sorted_and_filtered_without_losing_rows(tmp_path, groups, values, kind):
    for number, value in enumerate(values):
        run(tmp_path / f"run{number}", decoder_norm=value)
    show(tmp_path)
    (info,) = groups(tmp_path)[0].hparam_infos
    assert (info.name, info.type) == ("decoder_norm", kind)
    column = {"hparam": "decoder_norm", "order": api_pb2.ORDER_DESC}
    for missing_first in (True, False):
        found = groups(tmp_path, api_pb2.ColParams(**column, missing_values_first=missing_first))[1]
        assert len(found) == len(values)
        assert ("decoder_norm" in found[0].hparams) != missing_first
    if info.HasField("domain_discrete"):
        chosen = api_pb2.ColParams(hparam="decoder_norm", filter_discrete=info.domain_discrete)
    else:
        chosen = api_pb2.ColParams(hparam="decoder_norm", filter_interval=info.domain_interval)
    assert len(groups(tmp_path, chosen)[1]) == len(values)
    chosen.exclude_missing_values = True
    assert len(groups(tmp_path, chosen)[1]) == len(values) - 1


def test_session_values_keep_their_types(tmp_path):
    run(tmp_path / "one", alpha=0.5, standardize=True, act="tanh", arch={"name": "mlp", "widths": [8, 4]})
    update_run(tmp_path / "one")
    shown = read(tmp_path / "one").SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    told = plugin_data_pb2.HParamsPluginData.FromString(shown)
    assert told.SerializeToString(deterministic=True) == shown  # the same in each process
    chosen = told.session_start_info.hparams
    assert chosen["alpha"].number_value == 0.5
    assert chosen["standardize"].bool_value is True
    assert chosen["act"].string_value == "tanh"
    assert chosen["arch.widths"].string_value == "[8,4]"


def test_a_sweep_that_varies_more_has_one_band_for_each_configuration(tmp_path, groups):
    def begin(name, alpha, seed):
        history = [{"epoch": epoch, "valid/fvu": alpha + seed} for epoch in (1, 2)]
        update_run(run(tmp_path / name, history[-1], alpha=alpha, seed=seed, history=history))
        with SummaryWriter(str(tmp_path / name)) as writer:
            writer.add_scalar("valid/fvu", alpha + seed, 2)

    for seed in (0, 1):
        begin(f"seed={seed}", 0.0, seed)
    show(tmp_path)
    assert bands_of(tmp_path) == {"all": 0.5}
    for alpha, seed in [(0.0, 2), (0.0, 3), *((0.1, seed) for seed in range(4))]:
        begin(f"alpha={alpha:g},seed={seed}", alpha, seed)
    show(tmp_path)
    assert bands_of(tmp_path) == {"alpha=0": 1.5, "alpha=0.1": pytest.approx(1.6)}
    assert {group.name: len(group.sessions) for group in groups(tmp_path)[1]} == {"alpha=0": 4, "alpha=0.1": 4}


def test_bands_are_right_while_a_sweep_starts_to_vary_more(tmp_path):
    def begin(name, alpha, seed):
        history = [{"epoch": epoch, "valid/fvu": alpha + seed} for epoch in (1, 2)]
        update_run(run(tmp_path / name, history[-1], alpha=alpha, seed=seed, history=history))

    for seed in (0, 1):
        begin(f"seed={seed}", 0.0, seed)
    new = [(alpha, seed) for alpha in (0.0, 0.1) for seed in ((2, 3) if alpha == 0 else range(4))]
    asked = {"a": {"0": "seed=0", "1": "seed=1"}, "b": {}, "none": {}}
    for alpha, seed in new:
        asked["b" if alpha else "a"][str(seed)] = f"alpha={alpha:g},seed={seed}"
    start_sweep(tmp_path, [], asked)
    assert bands_of(tmp_path) == {"alpha=0": 0.5}
    manifest.write_manifest(tmp_path, manifest.EMPTY_MANIFEST.with_runs(asked))
    for alpha, seed in new:
        begin(f"alpha={alpha:g},seed={seed}", alpha, seed)
    live = bands_of(tmp_path)
    assert live == {"alpha=0": 1.5, "alpha=0.1": pytest.approx(1.6)}
    show(tmp_path)
    assert bands_of(tmp_path) == live


def bands_of(sweep):
    """The mean that each band begins with."""
    shown = {folder.name: band(folder) for folder in (sweep / "over seeds").iterdir() if folder.is_dir()}
    return {name: values["valid/fvu"][0][1] for name, values in shown.items() if values}


def test_a_configuration_that_lost_a_seed_has_no_band(tmp_path):
    show(made(tmp_path))
    shutil.rmtree(tmp_path / "alpha=0,seed=1")
    show(tmp_path)
    assert {*bands_of(tmp_path)} == {"alpha=0.1"}


def test_an_unreadable_run_leaves_the_bands_of_the_others(tmp_path):
    made(tmp_path)
    (run(tmp_path / "torn") / "config.yaml").write_text("[")
    show(tmp_path)
    assert {*bands_of(tmp_path)} == {"alpha=0", "alpha=0.1"}


def test_runs_with_another_logger_are_left_out(tmp_path):
    made(tmp_path)
    before = {*tmp_path.rglob("events*")}
    for seed in (0, 1):
        folder = run(tmp_path / f"logger=none,seed={seed}", {"valid/fvu": 0.5}, seed=seed, logger={"name": "none"})
        update_run(folder)
    assert {*tmp_path.rglob("events*")} == before
    show(tmp_path)
    assert {*bands_of(tmp_path)} == {"alpha=0", "alpha=0.1"}
    assert not list(tmp_path.glob("logger=none*/events*"))


def test_a_sweep_without_tensorboard_has_no_event_files(tmp_path):
    choices = [{"alpha": alpha, "seed": 0, "logger": "none"} for alpha in (0.0, 0.1)]
    start_sweep(tmp_path, choices, {})
    run(tmp_path / "alpha=0,seed=0", {"valid/fvu": 0.5}, alpha=0.0, logger={"name": "none"})
    show(tmp_path)
    assert not list(tmp_path.rglob("events*"))
