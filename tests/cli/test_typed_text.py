import os
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from satae.cli.compose import compose_runs, compose_settings
from satae.cli.flags import parse_flags
from satae.cli.plan import make_plan
from satae.cli.typed_text import keep_text
from satae.config.schema import EVALUATION, TRAINING
from satae.errors import ConfigError

LOOKS_LIKE_A_NUMBER = ["2021_01_01", "1e3", "1.10", "true", "TRUE", "0x10", "1_000", ".5", "nan", "inf", "007", "+5"]
LOOKS_LIKE_MORE = [
    "2021-01-01",
    "12:30",
    "~",
    "no",
    "off",
    "[a]",
    "{a:1}",
    "'tis",
    "a(1)",
    "a=b",
    " a ",
    "a\\",
    "ä",
    "-",
]
ODD = "o'd\"d,=([{%$\\ü #\\' x"  # every sign that a shell, YAML or Hydra reads as something else


def read(word):
    """What Hydra reads in a word after it was kept: one value, or the values of a sweep."""
    parsed = OverridesParser.create().parse_override(keep_text(word, TRAINING))
    if not parsed.is_sweep_override():
        return parsed.value()
    runs = [keep_text(f"k={value}", TRAINING) for value in parsed.sweep_string_iterator()]
    return [
        OverridesParser.create()
        .parse_override(keep_text(f"{parsed.key_or_group}={run[2:]}", TRAINING, is_single=True))
        .value()
        for run in runs
    ]


@pytest.mark.parametrize("typed", [*LOOKS_LIKE_A_NUMBER, *LOOKS_LIKE_MORE])
@pytest.mark.parametrize("key", ["data.path", "data.column", "hydra.run.dir", "++data.dir"])
def test_a_text_arrives_as_it_was_typed(key, typed):
    assert read(f"{key}={typed}") == typed


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("2021_01_01,2022_01_01", ["2021_01_01", "2022_01_01"]),
        ("choice(a,1e3)", ["a", "1e3"]),
        ("sort(b,1e3,reverse=true)", ["b", "1e3"]),
        ("choice('c,d',true)", ["c,d", "true"]),
        ("choice('a b',1_0)", ["a b", "1_0"]),
        ("'a b',\"1e3\", .5", ["a b", "1e3", ".5"]),
        ("a\\,b,1e3", ["a,b", "1e3"]),
        ("a(1),it's", ["a(1)", "it's"]),
        ("null,1e3", [None, "1e3"]),
    ],
)
def test_each_text_of_a_sweep_arrives_as_it_was_typed(typed, values):
    assert read(f"data.labels={typed}") == values


@pytest.mark.parametrize("key", ["act", "experiment", "hydra/launcher", "hydra.job.name", "hydra.launcher.account"])
def test_a_name_arrives_as_it_was_typed(key):
    assert read(f"{key}=1e3") == "1e3"


def test_a_list_of_presets_arrives_as_it_was_typed():
    assert read("experiment=[paper/toy_satlin,1e3]") == ["paper/toy_satlin", "1e3"]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("data.labels=null", None),
        ("data.path='2021_01_01'", "2021_01_01"),
        ("data.path='a b'", "a b"),
        ("data.path=a\\,b", "a,b"),
        ("hydra.run.dir=a\\=b", "a=b"),
        ("hydra.run.dir=out/${now:%Y}", "out/${now:%Y}"),
        ("alpha=1e3", 1000.0),
        ("data.limit=1_000", 1000),
        ("device=null", None),
    ],
)
def test_what_is_quoted_or_is_no_text_keeps_its_meaning(word, value):
    assert read(word) == value


def test_a_text_keeps_its_home_folder_beside_an_interpolation():
    assert read("hydra.run.dir=~/x${now:%Y}") == "~/x${now:%Y}"


def test_an_evaluation_keeps_texts():
    assert keep_text("manifold.other=1e3", EVALUATION) == "manifold.other='1e3'"
    assert compose_settings(["manifold.other=1e3"], EVALUATION)["manifold"]["other"] == "1e3"


def planned(*words):
    """The jobs of a command line."""
    return make_plan(parse_flags(words), shlex.join(words)).jobs


def test_a_typed_name_of_a_folder_is_the_folder_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (job,) = planned("hydra.run.dir=2022_02_02", "data=array", "data.path=2021_01_01")
    assert job.directory == tmp_path / "2022_02_02"
    assert job.config.data.path == "2021_01_01"
    assert [job.directory for job in planned("hydra.run.dir=~/x")] == [tmp_path / "home/x"]
    names = [job.directory for job in planned("-m", "hydra.sweep.dir=~/1e3", "data=array", "data.path=1_0,2_0")]
    assert names == [tmp_path / "home/1e3/data.path=1_0", tmp_path / "home/1e3/data.path=2_0"]


@pytest.mark.parametrize("several", [(), ("-m", "alpha=0,1")])
def test_a_name_with_odd_signs_is_one_name(tmp_path, monkeypatch, several):
    folder = tmp_path / ODD
    folder.mkdir()
    monkeypatch.chdir(folder)
    key = "hydra.sweep.dir" if several else "hydra.run.dir"
    job, *_ = planned(*several, "data=array", f"data.path={folder}", f"{key}={folder}/x")
    assert job.config.data.path == str(folder)
    assert (job.directory.parent if several else job.directory) == folder / "x"
    first, *_ = planned("sweep=y", "alpha=0,1")
    assert first.directory.parent == folder / "outputs/y"


def own_preset(folder, text):
    """A folder for ``--config-dir`` with one preset, ``own``."""
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment/own.yaml").write_text(f"# @package _global_\n{text}\n")
    return folder


def test_a_folder_of_own_configurations_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    own_preset(tmp_path / ODD, "alpha: 0.77")
    for name in (tmp_path / ODD, f"~/{ODD}", os.path.relpath(tmp_path / ODD)):
        ((run,), _) = compose_runs(["experiment=own"], config_dir=str(name))
        assert run.config.alpha == 0.77


@pytest.mark.parametrize("written", ["2021_01_01", "1e3", "12:30", "true", "no", ".nan"])
def test_a_number_in_a_yaml_file_is_refused_as_text(tmp_path, written):
    folder = str(own_preset(tmp_path, f"defaults:\n  - override /data: array\ndata: {{path: {written}}}"))
    with pytest.raises(ConfigError, match=r"^data\.path=\S+: YAML reads .* here, not text; put the text in quotes$"):
        compose_runs(["experiment=own"], config_dir=folder)
    (job,) = planned(f"--config-dir={folder}", "experiment=own", "data.path=1_0")
    assert job.config.data.path == "1_0"


@pytest.mark.parametrize("written", ["2022_02_02", "1e3", "no"])
def test_a_number_in_a_yaml_file_is_refused_as_a_folder(tmp_path, written):
    folder = str(own_preset(tmp_path, f"hydra: {{run: {{dir: {written}}}}}"))
    with pytest.raises(ConfigError, match=r"^hydra\.run\.dir=\S+: YAML may have read a number here"):
        compose_runs(["experiment=own"], config_dir=folder)
    ((run,), _) = compose_runs(["experiment=own", f"hydra.run.dir={tmp_path}/2022_02_02"], config_dir=folder)
    assert run.folder == tmp_path / "2022_02_02"


@pytest.mark.parametrize("written", ["'2021_01_01'", "2021-01-01", "a b"])
def test_text_in_a_yaml_file_stays(tmp_path, written):
    text = f"defaults:\n  - override /data: array\ndata: {{path: {written}}}\nhydra: {{run: {{dir: {written}}}}}"
    ((run,), _) = compose_runs(["experiment=own"], config_dir=str(own_preset(tmp_path, text)))
    assert run.config.data.path == written.strip("'")
    assert run.folder == Path(written.strip("'")).absolute()
