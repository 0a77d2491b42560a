"""Checkpoints: whole or not at all, and never code."""

import errno
import json
import os
import pickle
import random
import shutil
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import satae
from satae import atomic_write as files
from satae.config.schema import Checkpoints
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.training import CHECKPOINTS_FOLDER, checkpoint
from satae.training.checkpoint import CheckpointManager, State, checkpoint_path, latest_checkpoint, list_checkpoints
from satae.training.optimizers import load_state

UNREADABLE = "not a checkpoint that can be read"


@pytest.fixture
def path(tmp_path):
    return checkpoint_path(tmp_path, 7)


def state(value=1.0, step=7):
    tensors = {
        "model/a": torch.arange(5.0) * value,
        "model/n": torch.tensor(3, dtype=torch.int64),
        "generator/noise": torch.arange(9, dtype=torch.uint8),
        "empty": torch.zeros(0, 3),
    }
    return State({"step": step, "best": None, "config": {"alpha": 0.1, "name": "é"}}, tensors)


def same(one, other):
    return one.facts == other.facts and all(
        torch.equal(one.tensors[name], other.tensors[name]) and one.tensors[name].dtype == other.tensors[name].dtype
        for name in one.tensors.keys() | other.tensors.keys()
    )


class Code:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


# Round trips


def test_a_saved_state_is_loaded_unchanged(path):
    checkpoint.save(path, state())
    assert same(checkpoint.load(path), state())
    assert checkpoint.load(path).part("model").keys() == {"a", "n"}


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_memory_layout_is_not_saved(path, layout):
    x = torch.randn(2, 3, 4, 5).to(memory_format=layout)
    checkpoint.save(path, State({}, {"x": x, "part": x[:, 1]}))
    assert torch.equal(checkpoint.load(path).tensors["x"], x)
    assert torch.equal(checkpoint.load(path).tensors["part"], x[:, 1])


def left_at(config, step):
    """An experiment that was left at a step."""
    experiment = Experiment.from_config(config)
    for _ in experiment.fit(lambda now: now == step):
        if experiment.step == step:
            return experiment
    raise AssertionError


KINDS = {
    "mlp": ("arch.widths=[9,5]", "arch.batch_norm=true"),
    "tied": ("arch.widths=[9,5]", "arch.tied=true", "decoder_norm=null"),
    "conv": ("arch=conv", "arch.channels=[3]", "arch.code=4", "arch.batch_norm=true"),
    "sgd": ("arch.widths=[9]", "optim=sgd", "optim.momentum=0.5", "optim.lr=0.01"),
    "plain sgd": ("arch.widths=[9]", "optim=sgd", "optim.momentum=0", "optim.lr=0.01"),
    "masking": ("arch.widths=[9]", "noise=masking", "act=tanh", "decoder_norm=3"),
}
FEW = ("data.limit=60", "epochs=3", "batch_size=16", "alpha=0.3")


@pytest.mark.parametrize("step", [1, 4, 6, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_experiment_ends_like_an_uninterrupted_one(path, configuration, kind, step):
    config = configuration(*KINDS[kind], *FEW)
    whole = Experiment.from_config(config)
    expected = [epoch._replace(samples_per_s=0) for epoch in whole.fit()]
    experiment = left_at(config, step)
    checkpoint.save(checkpoint_path(path.parents[1], step), experiment.state())
    again = Experiment.from_config(config)
    again.restore(latest_checkpoint(path.parents[1]))
    assert again.epochs_done == step // 4
    found = [epoch._replace(samples_per_s=0) for epoch in again.fit()]
    assert found == expected[step // 4 :]
    for name, x in whole.model.state_dict().items():
        assert torch.equal(x, again.model.state_dict()[name]), name


def test_the_model_is_loaded_with_its_standardisation(path, configuration):
    experiment = left_at(configuration(*KINDS["conv"], *FEW), 7)
    checkpoint.save(path, experiment.state())
    x = torch.rand(3, 1, 8, 8)
    model = satae.load(path.parents[1])
    assert not model.training
    assert torch.equal(model(x), experiment.model.eval()(x))


def halve(tensors, name):
    tensors[name] = tensors[name].half()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda facts, tensors: facts.update(samples=61), "61 inputs"),
        (lambda facts, tensors: facts.update(shape=[1, 9, 9]), "9, 9"),
        (lambda facts, tensors: facts.pop("device"), "device"),
        (lambda facts, tensors: facts.update(step="x"), "its step is x"),
        (lambda facts, tensors: facts.update(data="whole:" + "0" * 64), "the numbers in the data have changed"),
        (lambda facts, tensors: facts.update(data="0" * 64), "an earlier version wrote it"),
        (lambda facts, tensors: facts.update(data=None), "an earlier version wrote it"),
        (lambda facts, tensors: tensors.pop("optimiser/0/exp_avg"), "exp_avg|incomplete"),
        (lambda facts, tensors: [tensors.pop(n) for n in [*tensors] if n.startswith("optimiser")], "incomplete"),
        (lambda facts, tensors: tensors.pop("model/encoder.layer1.affine.bias"), "encoder.layer1.affine.bias"),
        (lambda facts, tensors: tensors.update({"model/more": torch.zeros(1)}), "model.*more|more"),
        (lambda facts, tensors: tensors.update({"optimiser/99/exp_avg": torch.zeros(1)}), "belongs to no parameter"),
        (lambda facts, tensors: tensors.update({"optimiser/x/exp_avg": torch.zeros(1)}), "belongs to no parameter"),
        (lambda facts, tensors: tensors.update({"optimiser/0/exp_avg": torch.zeros(3)}), "not float32 of shape"),
        (lambda facts, tensors: tensors.update({"optimiser/0/more": torch.tensor(0.5)}), "belongs to no parameter"),
        (lambda facts, tensors: facts.update(step=0), "belongs to no parameter"),
        (lambda facts, tensors: halve(tensors, "model/encoder.layer1.affine.bias"), "float16 .* not float32"),
        (lambda facts, tensors: tensors.update({"model/encoder.layer1.affine.bias": torch.ones(9).int()}), "int32"),
        (lambda facts, tensors: halve(tensors, "optimiser/1/exp_avg_sq"), "float16 .* not float32"),
        (lambda facts, tensors: tensors.update({"optimiser/1/step": torch.tensor(3)}), "int64 .* not float32"),
        (lambda facts, tensors: tensors.update({"optimiser/1/step": torch.ones(9)}), r"shape \[9\], not .* shape \[\]"),
        (lambda facts, tensors: tensors.update({"generator/noise": torch.zeros(5, dtype=torch.uint8)}), "RNG|state"),
        (lambda facts, tensors: tensors.pop("generator/order"), "generator/order"),
    ],
)
def test_a_state_of_another_run_is_refused(configuration, change, reason):
    config = configuration(*KINDS["mlp"], *FEW)
    experiment = left_at(config, 3)
    found = experiment.state()
    change(found.facts, found.tensors)
    with pytest.raises(ValueError, match=rf"the checkpoint is not of this run and its data \(.*({reason})"):
        Experiment.from_config(config).restore(found)


@pytest.mark.parametrize("kind", ["mlp", "sgd"])
def test_moments_without_a_shape_are_refused(configuration, kind):
    config = configuration(*KINDS[kind], *FEW)
    experiment = left_at(config, 3)
    found = experiment.state()
    moments = [name for name in found.tensors if name.startswith("optimiser") and not name.endswith("/step")]
    assert moments
    found.tensors.update(dict.fromkeys(moments, torch.tensor(0.5)))
    with pytest.raises(ValueError, match=r"optimiser/0/\w+ is float32 of shape \[\], not float32 of shape \[9"):
        Experiment.from_config(config).restore(found)


@pytest.mark.parametrize("kind", ["mlp", "sgd", "plain sgd"])
def test_an_optimizer_state_with_more_or_less_is_refused(configuration, kind):
    config = configuration(*KINDS[kind], *FEW)
    experiment = left_at(config, 3)
    found = experiment.state()
    moments = [name for name in found.tensors if name.startswith("optimiser")]
    assert bool(moments) == (kind != "plain sgd")
    Experiment.from_config(config).restore(found)
    for name in moments[:1]:
        lacking = found._replace(tensors={key: x for key, x in found.tensors.items() if key != name})
        with pytest.raises(ValueError, match="incomplete"):
            Experiment.from_config(config).restore(lacking)
    without = found._replace(tensors={key: x for key, x in found.tensors.items() if key not in moments})
    more = without._replace(tensors=without.tensors | {"optimiser/0/momentum_buffer": torch.zeros(9, 64)})
    for refused in [more] if kind == "plain sgd" else [without, more]:
        with pytest.raises(ValueError, match=r"incomplete|belongs to no parameter"):
            Experiment.from_config(config).restore(refused)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_restored_moments_have_the_memory_layout_of_their_parameters(kind):
    weight = nn.Parameter(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))
    optimiser = kind([weight])
    values = torch.randn(4, 3, 2, 2)
    load_state(optimiser, {"0/exp_avg": values, "0/exp_avg_sq": values, "0/step": torch.tensor(4.0)}, after_a_step=True)
    moment = optimiser.state[weight]["exp_avg"]
    assert torch.equal(moment, values)
    assert moment.stride() == weight.stride()


# Replaced as a whole


def listed(path):
    return [found.name for found in path.parent.iterdir()]


def test_a_second_save_replaces_the_first_and_nothing_else_is_left(path):
    checkpoint.save(path, state(1))
    checkpoint.save(path, state(2))
    assert same(checkpoint.load(path), state(2))
    assert listed(path) == [path.name]


class Fault:
    """A call that fails from the ``which``-th on, as a disk does."""

    def __init__(self, call, which, number):
        self.call, self.which, self.number, self.calls = call, which, number, 0

    def __call__(self, *words, **named):
        self.calls += 1
        if self.calls >= self.which:
            raise OSError(self.number, os.strerror(self.number))
        return self.call(*words, **named)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize(("name", "which"), [("fsync", 1), ("fsync", 2), ("open", 1), ("replace", 1)])
def test_the_old_file_survives_whatever_fails(path, monkeypatch, name, which, number):
    checkpoint.save(path, state(1))
    owner = {"fsync": files.os, "open": Path, "replace": Path}[name]
    call = getattr(owner, name)
    fault = Fault(call, which, number)
    monkeypatch.setattr(owner, name, lambda *words, **named: fault(*words, **named))
    with pytest.raises(OSError, match=os.strerror(number)) as error:
        checkpoint.save(path, state(2))
    monkeypatch.undo()
    assert error.value.filename == str(path)
    found = checkpoint.load(path)
    assert same(found, state(1)) or (which == 2 and same(found, state(2)))  # its name is not known to be on the disk
    assert listed(path) == [path.name]


def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_file(path, monkeypatch):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("the system has no /dev/full")
    checkpoint.save(path, state(1))
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda place, mode="r", **named: real(full if mode == "xb" else place, "wb"))
    with pytest.raises(OSError, match="No space left on device"):
        checkpoint.save(path, state(2))
    monkeypatch.undo()
    assert same(checkpoint.load(path), state(1))
    assert listed(path) == [path.name]


def test_all_of_a_file_is_written_before_it_is_synced(path, monkeypatch):
    real, sizes = os.fsync, []

    def fsync(handle):
        sizes.append(os.fstat(handle).st_size)
        real(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    path.parent.mkdir()
    files.replace(path, b"few bytes, which Python would hold back")
    assert sizes[0] == path.stat().st_size > 0


def test_no_link_is_followed(path):
    path.parent.mkdir()
    victim = path.parents[1] / "victim"
    victim.write_text("precious")
    path.with_name(f".{path.name}{files.PARTIAL_SUFFIX}").symlink_to(victim)
    path.symlink_to(victim)
    checkpoint.save(path, state(1))
    assert victim.read_text() == "precious"
    assert same(checkpoint.load(path), state(1))


def test_steps_are_in_the_order_of_their_numbers(tmp_path):
    for step in (10**9, 999_999_999, 5):
        checkpoint.save(checkpoint_path(tmp_path, step), state())
    (tmp_path / CHECKPOINTS_FOLDER / "step-x.safetensors").touch()
    assert [step for step, _ in list_checkpoints(tmp_path)] == [10**9, 999_999_999, 5]


def test_a_reader_of_the_old_file_reads_all_of_it_during_a_replacement(path):
    checkpoint.save(path, state(1))
    before = path.read_bytes()
    with path.open("rb") as reader:
        checkpoint.save(path, state(2))
        assert reader.read() == before


# Damage


def older_and_newer(run):
    """Two checkpoints of a run; the bytes of the newer."""
    checkpoint.save(checkpoint_path(run, 1), state(1, 1))
    newer = checkpoint_path(run, 2)
    checkpoint.save(newer, state(2, 2))
    return newer, newer.read_bytes()


def test_a_file_cut_at_any_byte_is_skipped_for_the_one_before(tmp_path, caplog):
    newer, content = older_and_newer(tmp_path)
    for length in range(len(content)):
        newer.write_bytes(content[:length])
        caplog.clear()
        assert same(latest_checkpoint(tmp_path), state(1, 1))
        (line,) = caplog.messages
        assert UNREADABLE in line
        assert line.endswith("; using step-000000001.safetensors")


def test_no_flipped_bit_gives_other_weights(tmp_path):
    newer, content = older_and_newer(tmp_path)
    draw = random.Random(0)
    for _ in range(1000):
        place, bit = draw.randrange(len(content)), 1 << draw.randrange(8)
        newer.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        try:
            found = latest_checkpoint(tmp_path)
        except ValueError as error:
            found = str(error)
        if isinstance(found, str):
            assert "a checkpoint of format" in found  # a bit of that word, or of the number
        else:
            assert same(found, state(1, 1)) or same(found, state(2, 2))  # a bit of the padding says nothing


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=st.binary(max_size=200))
def test_files_of_other_content_are_skipped(tmp_path, content):
    newer, _ = older_and_newer(tmp_path)
    newer.write_bytes(content)
    assert same(latest_checkpoint(tmp_path), state(1, 1))


def test_a_run_without_a_readable_checkpoint_names_the_newest(tmp_path):
    newer, _ = older_and_newer(tmp_path)
    for _, path in list_checkpoints(tmp_path):
        path.write_bytes(b"PK")
    with pytest.raises(ValueError, match=rf"{newer}: {UNREADABLE}"):
        latest_checkpoint(tmp_path)


def test_a_run_without_checkpoints_has_no_latest(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="no checkpoint there; name a run directory"):
        satae.load(tmp_path)


@pytest.mark.parametrize("step", [6, 8, None, "7", 7.5])
def test_a_checkpoint_of_another_step_than_its_name_says_is_refused(path, step):
    checkpoint.save(path, state(step=step))
    with pytest.raises(ValueError, match=f"{path}: says that it belongs to step {step}"):
        latest_checkpoint(path.parents[1])


def a_copy_with_another_name(path, older):
    shutil.copy(older, path)
    return "says that it belongs to step 1"


def a_pipe(path, older):
    os.mkfifo(path)
    return "is not a file"


def a_folder(path, older):
    path.mkdir()
    return "is not a file"


def a_link_to_nothing(path, older):
    path.symlink_to("nowhere")
    return "is not a file"


@pytest.mark.parametrize("put", [a_copy_with_another_name, a_pipe, a_folder, a_link_to_nothing])
def test_what_is_no_checkpoint_of_its_step_is_reported_and_skipped_for_a_good_one(tmp_path, caplog, put):
    checkpoint.save(checkpoint_path(tmp_path, 1), state(1, 1))
    wrong = checkpoint_path(tmp_path, 999_999_999)
    reason = put(wrong, checkpoint_path(tmp_path, 1))
    assert same(latest_checkpoint(tmp_path), state(1, 1))
    assert caplog.messages == [f"{wrong}: {reason}; using step-000000001.safetensors"]
    checkpoint_path(tmp_path, 1).unlink()
    with pytest.raises(ValueError, match=f"{wrong}: {reason}"):
        latest_checkpoint(tmp_path)


def test_a_folder_named_like_an_old_checkpoint_does_not_end_a_training(tmp_path):
    checkpoint_path(tmp_path, 1).mkdir(parents=True)
    CheckpointManager(tmp_path, Checkpoints(every_minutes=None, every_epochs=None, every_steps=None, keep=1)).save(
        2, state(2, 2)
    )
    assert checkpoint_path(tmp_path, 1).is_dir()


# Hostile files


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"format": "2", "facts": "{}"}, "it has no SHA-256"),
        ({"format": "2", "facts": "[]", "sha256": "0" * 64}, "it has no facts"),
        ({"format": "1", "facts": "{}", "sha256": "0" * 64}, "a checkpoint of format 1"),
    ],
)
def test_a_large_file_that_is_no_checkpoint_is_refused_before_it_is_read(path, monkeypatch, metadata, told):
    sparse(path, 2**31, metadata)
    monkeypatch.setattr(checkpoint, "_digest", None)
    with pytest.raises(ValueError, match=told):
        checkpoint.load(path)
    assert os.stat(path).st_size > 2**31


def test_a_checkpoint_larger_than_memory_is_refused_before_it_is_opened(path, monkeypatch):
    sparse(path, 2**31, {"format": "2", "facts": "{}", "sha256": "0" * 64})
    monkeypatch.setattr(checkpoint, "memory", lambda: 2**31)
    monkeypatch.setattr(checkpoint, "safe_open", None)
    with pytest.raises(ValueError, match=rf"{UNREADABLE} \(of 2 GB, which is more than the memory of this machine\)"):
        checkpoint.load(path)


@pytest.mark.parametrize("more", [-1, 1])
def test_a_checkpoint_of_another_length_than_its_header_says_is_refused(path, monkeypatch, more):
    sparse(path, 2**31, {"format": "2", "facts": "{}", "sha256": "0" * 64}, more)
    monkeypatch.setattr(checkpoint, "_digest", None)
    with pytest.raises(ValueError, match=UNREADABLE):
        checkpoint.load(path)


def sparse(path, size, metadata, more=0):
    """A file of zeros that take no space on the disk, with a header that says so."""
    header = {"__metadata__": metadata, "a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    path.parent.mkdir()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + size + more)


def written(path, metadata=None, tensors=None):
    path.parent.mkdir(exist_ok=True)
    save_file(tensors or {"a": torch.zeros(2)}, path, metadata)
    return path


@pytest.mark.parametrize("found", ["1", "3", "", "2.0", None])
def test_another_format_is_refused_by_name(path, found):
    written(path, None if found is None else {"format": found})
    with pytest.raises(ValueError, match=rf"a checkpoint of format {found}; this version of satae reads format 2"):
        checkpoint.load(path)


def test_format_1_is_refused_by_name(tmp_path):
    torch.save({"format": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"checkpoint\.pt: a checkpoint of format 1; .* reads format 2"):
        latest_checkpoint(tmp_path)


@pytest.mark.parametrize("write", [lambda content, file: torch.save(content, file), pickle.dump])
def test_a_pickle_with_code_is_refused_and_not_run(path, write):
    mark = path.parents[1] / "executed"
    path.parent.mkdir()
    with path.open("wb") as file:
        write({"format": checkpoint.FORMAT, "evil": Code(mark)}, file)
    with pytest.raises(ValueError, match=UNREADABLE):
        checkpoint.load(path)
    assert not mark.exists()
    with path.open("rb") as file:
        torch.load(file, weights_only=False) if write is not pickle.dump else pickle.load(file)
    assert mark.exists()  # it would have run


HEADERS = {
    "larger than the file": {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
    "overflowing": {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 8]}},
    "overlapping": {
        "a": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]},
        "b": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]},
    },
    "of no type": {"a": {"dtype": "object", "shape": [1], "data_offsets": [0, 8]}},
    "backwards": {"a": {"dtype": "U8", "shape": [8], "data_offsets": [8, 0]}},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_absurd_sizes_are_refused(path, header):
    path.parent.mkdir()
    text = json.dumps({"__metadata__": {"format": "2", "facts": "{}", "sha256": ""}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(ValueError, match=UNREADABLE):
        checkpoint.load(path)


@pytest.mark.parametrize("length", [0, 2**31, 2**63, 2**64 - 1])
def test_absurd_headers_are_refused(path, length):
    path.parent.mkdir()
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(ValueError, match=UNREADABLE):
        checkpoint.load(path)


@pytest.mark.parametrize("facts", ["", "[]", "nul", "[" * 100_000, '{"a": 1'])
def test_invalid_facts_are_refused(path, facts):
    tensors = {"a": torch.zeros(2)}
    written(path, {"format": "2", "facts": facts, "sha256": checkpoint._digest(facts, tensors)}, tensors)
    with pytest.raises(ValueError, match=rf"{UNREADABLE} \(it has no facts\)"):
        checkpoint.load(path)


def changed(experiment, **facts):
    found = experiment.weights().with_facts(step=7)
    return State({**found.facts, **facts}, found.tensors)


@pytest.mark.parametrize("missing", ["config", "shape", "model/mean"])
def test_a_checkpoint_without_a_model_is_refused_by_load(path, configuration, missing):
    whole = Experiment.from_config(configuration("arch.widths=[4]", "data.limit=20")).weights().with_facts(step=7)
    (whole.tensors if "/" in missing else whole.facts).pop(missing)
    checkpoint.save(path, whole)
    with pytest.raises(ValueError, match="does not hold a model of this program"):
        satae.load(path.parents[1])


@pytest.mark.parametrize("name", ["mean", "encoder.layer1.affine.weight"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
def test_weights_of_another_type_are_refused_by_load(path, configuration, name, dtype):
    whole = Experiment.from_config(configuration("arch.widths=[4]", "data.limit=20")).weights().with_facts(step=7)
    whole.tensors[f"model/{name}"] = whole.tensors[f"model/{name}"].to(dtype)
    checkpoint.save(path, whole)
    with pytest.raises(ValueError, match=rf"does not hold a model of this program \({name} is {dtype}"):
        satae.load(path.parents[1])


@pytest.mark.parametrize("shape", [[1, 9, 9], [1, 10**9, 10**9], [-1], "abc", [], None, [2.5], {"a": 1}])
def test_a_checkpoint_of_another_shape_is_refused_by_load(path, configuration, shape):
    checkpoint.save(
        path, changed(Experiment.from_config(configuration("arch.widths=[4]", "data.limit=20")), shape=shape)
    )
    with pytest.raises(ValueError, match="does not hold a model of this program"):
        satae.load(path.parents[1])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alpha", "${oc.env:HOME}"),
        ("act", {"name": "relu", "_target_": "os.mkdir"}),
        ("act", {"name": "../../etc/passwd"}),
        ("arch", {"name": "mlp", "widths": [10**12], "tied": False, "batch_norm": False}),
        ("_target_", "os.system"),
        ("epochs", 10**400),
    ],
)
def test_a_hostile_configuration_is_refused_by_load(path, configuration, key, value):
    experiment = Experiment.from_config(configuration("arch.widths=[4]", "data.limit=20"))
    config = {**experiment.weights().with_facts(step=7).facts["config"], key: value}
    checkpoint.save(path, changed(experiment, config=config))
    with pytest.raises(ValueError, match="does not hold a model of this program"):
        satae.load(path.parents[1])


def test_random_generators_differ_by_purpose():
    assert build.random_generator(0, "noise").initial_seed() != build.random_generator(0, "order").initial_seed()
