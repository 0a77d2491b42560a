from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from satae.config import ConfigError
from satae.sweeps.manifest import (
    MAX_NAME_BYTES,
    RequestedRun,
    assign_run_names,
    identity,
    index_runs,
    run_name,
    sweep_argument,
)
from satae.sweeps.results import RunResult

VARIED = ["act", "alpha", "seed"]


def wanted(**choices):
    return RequestedRun([f"{key}={value}" for key, value in choices.items()], {"epochs": 2, **choices})


def there(name, **choices):
    return RunResult(Path("sweep", name), {"epochs": 2, **choices}, {"status": "finished"}, {})


def test_a_run_is_named_by_what_varies():
    runs = [wanted(act="relu", alpha=0.1, seed=seed) for seed in (0, 1)]
    assert assign_run_names(runs, [], VARIED) == ["act=relu,alpha=0.1,seed=0", "act=relu,alpha=0.1,seed=1"]


def test_an_existing_run_is_found_by_its_configuration():
    assert assign_run_names([wanted(alpha=0.1, seed=0)], [there("old", seed=0, alpha=0.1)], VARIED) == ["old"]


def test_two_runs_never_share_a_name():
    # as when something is varied that was not before
    (name,) = assign_run_names(
        [wanted(alpha=0.1, act="tanh")], [there("alpha=0.1", alpha=0.1, act="relu")], ["alpha", "act"]
    )
    assert name == "alpha=0.1,act=tanh"
    (other,) = assign_run_names([wanted(alpha=0.1)], [there("alpha=0.1", alpha=0.2)], ["alpha"])
    assert other.startswith("alpha=0.1,#")
    seeds = [wanted(alpha=0.1, seed=seed) for seed in (0, 1)]
    names = assign_run_names(
        seeds, [there(f"alpha=0.1,seed={seed}", alpha=0.2, seed=seed) for seed in (0, 1)], ["alpha", "seed"]
    )
    assert [name.rpartition(",")[2] for name in names] == ["seed=0", "seed=1"]
    assert len({name.rpartition(",")[0] for name in names}) == 1
    assert names[0].startswith("alpha=0.1,#")


def test_a_run_requested_twice_is_refused():
    with pytest.raises(ConfigError, match="seed=0: is asked for twice"):
        assign_run_names([wanted(seed=0), wanted(seed=0)], [], ["seed"])


def test_a_different_fixed_option_is_refused_with_a_remedy():
    with pytest.raises(ConfigError, match=r"epochs=3: the runs of sweep have epochs=2; .* epochs=2,3"):
        assign_run_names([RequestedRun(["alpha=1"], {"epochs": 3, "alpha": 1})], [there("a", alpha=0)], ["alpha"])


def test_options_of_a_varied_choice_can_differ():
    runs = [RequestedRun(["act=shrink"], {"epochs": 2, "act": "shrink", "act.threshold": 0.5})]
    assert assign_run_names(runs, [there("act=relu", act="relu")], ["act"]) == ["act=shrink"]


@pytest.mark.parametrize("key", ["threads", "device", "compile", "checkpoint.keep", "data.dir"])
def test_execution_options_count_only_if_they_are_varied(key):
    one, other = {"alpha": 0, key: 1}, {"alpha": 0, key: 2}
    assert identity(one, ["alpha"]) == identity(other, ["alpha"])
    assert identity(one, [key]) != identity(other, [key])


def test_seeds_are_indexed_together_whatever_their_names():
    choices = {"seed=0": {"alpha": 0.1, "seed": 0, "threads": 1}, "alpha=0.1,seed=1": {"alpha": 0.1, "seed": 1}}
    found = index_runs({**choices, "alpha=1,seed=0": {"alpha": 1.0, "seed": 0}}, VARIED)
    assert [*found.values()] == [{"0": "seed=0", "1": "alpha=0.1,seed=1"}, {"0": "alpha=1,seed=0"}]


def test_a_sweep_argument_is_what_a_user_types(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sweep_argument(tmp_path / "outputs" / "first") == "sweep=outputs/first"
    assert sweep_argument(tmp_path / "first") == sweep_argument(Path("first")) == "sweep=./first"
    assert sweep_argument(Path("/elsewhere")) == "sweep=/elsewhere"


@given(st.text(min_size=1, max_size=300))
@example("\N{GREEK SMALL LETTER ALPHA}" * 300)
@example("x" * (MAX_NAME_BYTES - len("data.path=") - 1) + "\N{CJK UNIFIED IDEOGRAPH-4E00}")
def test_any_value_gives_a_valid_folder_name(value):
    name = run_name([f"data.path={value}"], ["data.path"])
    assert len(name.encode()) <= MAX_NAME_BYTES + 10
    assert not {"/", "\0", "\n", "'", '"', "$", "~"} & {*name}
    assert name.strip(" .") == name
    assert name not in ("", ".", "..")


def test_long_names_with_the_same_start_differ():
    one, other = (run_name([f"data.path={'x' * 300}{end}"], ["data.path"]) for end in "ab")
    assert one != other


@given(st.text(min_size=1, max_size=300), st.integers(0, 2**32 - 1))
def test_names_of_seeds_differ_only_in_their_end(value, seed):
    for apart in (None, {"data.path": value, "seed": seed}):
        name = run_name([f"data.path={value}", f"seed={seed}"], ["data.path", "seed"], apart)
        assert name.endswith(f",seed={seed}")
        other = run_name([f"data.path={value}", "seed=x"], ["data.path", "seed"], apart and {**apart, "seed": "x"})
        assert other == f"{name.removesuffix(str(seed))}x"
