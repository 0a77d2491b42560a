"""A directory from a stranger: no program writes to, empties, removes or waits for anything outside it."""

import ast
import errno
import json
import os
import re
import shutil
import subprocess

import evaluated
import pytest
from made import read_all
from program import ROOT, TINY, Outcome, files, here, typed

from satae import datasets, evaluate, export, report, train
from satae.config.schema import Checkpoints
from satae.errors import ConfigError
from satae.evaluation.result import describe_replaced, read_if_current
from satae.messages import quote_word
from satae.runs import layout
from satae.runs.own_files import check_evaluation, check_new_run, check_run, check_sweep
from satae.sweeps import tensorboard_sweep
from satae.sweeps.manifest import read_manifest
from satae.sweeps.results import try_read_run
from satae.sweeps.table import print_sweep, result_line
from satae.training import checkpoint

EVENTS = f"{layout.EVENT_FILE_PREFIX}0000000001.band"
PARTIAL = f".{layout.RECORD_FILE}.partial"
NAMES = {name: value for name, value in vars(layout).items() if re.fullmatch(r"[A-Z_]+_(FILE|FOLDER)", name)}
ELSEWHERE = {"OUTPUTS_FOLDER", "EVALUATION_FOLDER"}  # one is what users name, the other has its own check


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a sweep of two runs, ``S``; do not change it."""
    folder = tmp_path_factory.mktemp("made")
    assert here(folder, *TINY, "sweep=./S", "seed=0,1", "hydra/launcher=basic").code == 0
    return folder


@pytest.fixture
def sweep(made, tmp_path):
    shutil.copytree(made / "S", tmp_path / "S")
    return tmp_path / "S"


@pytest.fixture
def empty_sweep(tmp_path):
    """A sweep whose runs have a record alone."""
    for name in ("seed=0", "seed=1", "seed=1/checkpoints", "over seeds", "over seeds/all"):
        (tmp_path / "S" / name).mkdir(parents=True)
    for name in ("seed=0", "seed=1"):
        (tmp_path / "S" / name / layout.RECORD_FILE).touch()
    return tmp_path / "S"


@pytest.fixture
def victim(tmp_path):
    """A folder of the user with a file for each kind of name, which no program may change."""
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("file", EVENTS, "code_mine.png", "code.json", f"{layout.EVENT_FILE_PREFIX}0000000001.session"):
        (folder / name).write_text("precious")
    yield folder
    assert {path.read_text() for path in folder.iterdir()} == {"precious"}
    assert len(files(folder)) == 5


def put(kind, path, victim):
    """Put a link, a pipe or a hard link in the place of a file or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "hard link":
        path.hardlink_to(victim / "file")
    else:
        path.symlink_to({"file": victim / "file", "folder": victim, "nothing": victim / "new"}[kind])


def refused(outcome, text):
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1), outcome
    assert text in outcome.err


# every name that the programs know


def test_every_name_of_a_file_stands_in_the_layout_and_is_checked():
    assert {value for name, value in NAMES.items() if name not in ELSEWHERE} == {*layout.RUN_NAMES, *layout.SWEEP_NAMES}
    sources = [path for path in (ROOT / "src" / "satae").rglob("*.py") if "data" not in path.parent.name + path.stem]
    for path in sources:  # no name is written where it is used
        divided_by = [
            node.right for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.BinOp)
        ]
        texts = {one.value for one in divided_by if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        assert {text for text in texts if re.fullmatch(r"[\w.]+\.\w+", text)} <= {"config.yaml", "eval.yaml"}, path


def test_every_file_of_a_sweep_has_a_name_that_is_checked(made):
    top = {path.name for path in (made / "S").iterdir()}
    names = {name for name in top if not layout.is_written_name(name, layout.SWEEP_NAMES)}
    assert names == {"seed=0", "seed=1"}
    for name in names:
        written = [path.name for path in (made / "S" / name).iterdir()]
        assert [own for own in written if not layout.is_written_name(own, layout.RUN_NAMES)] == []


@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "pipe"])
@pytest.mark.parametrize("name", [*layout.RUN_NAMES, EVENTS, PARTIAL])
def test_a_run_refuses_links_and_pipes(name, kind, tmp_path, victim):
    (tmp_path / "run").mkdir()
    put(kind, tmp_path / "run" / name, victim)
    for check in (check_run, check_new_run):
        with pytest.raises(ConfigError, match=re.escape(name)):
            check(tmp_path / "run")


@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "pipe"])
@pytest.mark.parametrize("name", [*layout.SWEEP_NAMES, EVENTS, PARTIAL, "seed=0", "asked for"])
def test_a_sweep_refuses_links_and_pipes(name, kind, empty_sweep, victim):
    put(kind, empty_sweep / name, victim)
    with pytest.raises(ConfigError, match=re.escape(name)):
        check_sweep(empty_sweep, ["seed=0", "seed=1", "asked for"])


@pytest.mark.parametrize(
    "place", [f"seed=1/{EVENTS}", "seed=1/checkpoints/x", f"over seeds/all/{EVENTS}", "over seeds/x"]
)
def test_a_sweep_refuses_links_below_a_run_and_the_bands(place, empty_sweep, victim):
    put("file", empty_sweep / place, victim)
    with pytest.raises(ConfigError, match="is a link"):
        check_sweep(empty_sweep, [])


@pytest.mark.parametrize("name", [layout.METRICS_LOG_FILE, layout.LOG_FILE, EVENTS])
def test_a_file_with_a_second_name_is_not_appended_to(name, empty_sweep, victim):
    put("hard link", empty_sweep / "seed=0" / name, victim)
    with pytest.raises(ConfigError, match=r"hard link.*cp -r"):
        check_run(empty_sweep / "seed=0")


def test_what_is_replaced_may_have_a_second_name(empty_sweep, victim):
    put("hard link", empty_sweep / "seed=0" / layout.CONFIG_FILE, victim)
    check_run(empty_sweep / "seed=0")


def test_other_files_of_a_user_stop_nothing(empty_sweep, victim):
    for folder in (empty_sweep, empty_sweep.parent / "project"):
        folder.mkdir(exist_ok=True)
        (folder / ".venv").mkdir()
        put("folder", folder / ".venv" / "lib", victim)
        put("folder", folder / "notes", victim)
        put("nothing", folder / "gone", victim)
        put("pipe", folder / "talk", victim)
    (empty_sweep / "report").mkdir()
    put("folder", empty_sweep / "report" / "figures", victim)  # satae-report refuses it, and changes nothing
    (empty_sweep.parent / "named").symlink_to(empty_sweep)
    check_sweep(empty_sweep.parent / "named", ["seed=0"])
    check_new_run(empty_sweep.parent / "project")
    check_new_run(empty_sweep.parent / "missing")


# the programs


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("multirun.yaml", "file"), ("multirun.yaml", "pipe"), ("over seeds", "folder"), ("seed=1", "folder")],
        *[
            (f"seed=0/{EVENTS.replace('.band', '.session')}", "file"),
            (f"{EVENTS}.sweep", "pipe"),
            ("sweep.json", "pipe"),
        ],
        *[("runs.csv", "pipe"), (".lock", "file"), (f"over seeds/other/{EVENTS}", "file")],
    ],
)
def test_a_sweep_with_a_link_is_refused_before_anything_is_written(name, kind, sweep, victim):
    (sweep / "over seeds" / "other").mkdir()
    put(kind, sweep / name, victim)
    before = [(path, path.lstat().st_mtime_ns) for path in sorted(sweep.rglob("*"))]
    refused(here(sweep.parent, *TINY, "sweep=./S", "seed=2"), name)
    assert before == [(path, path.lstat().st_mtime_ns) for path in sorted(sweep.rglob("*"))]


@pytest.mark.parametrize("name", ["pictures", "checkpoints", "satae-train.log", ".hydra", "own.log"])
def test_a_new_run_beside_a_link_is_refused(name, tmp_path, victim):
    (tmp_path / "run").mkdir()
    put("folder", tmp_path / "run" / name, victim)
    words = ["hydra.run.dir=run", "hydra.output_subdir=.hydra", *(["hydra.job.name=own"] if name == "own.log" else [])]
    refused(here(tmp_path, *TINY, *words), name)
    assert files(tmp_path / "run") == [name]


def test_an_evaluation_does_not_leave_the_run(sweep, victim):
    run = sweep / "seed=0"
    put("folder", run / "evaluation", victim)
    refused(evaluated.typed(sweep.parent, "run=S/seed=0", "evaluation=code"), "evaluation: is a link")
    (run / "evaluation").unlink()
    (run / "evaluation").mkdir()
    put("file", run / "evaluation" / "code.csv", victim)
    refused(evaluated.typed(sweep.parent, "run=S", "evaluation=code"), "code.csv: is a link")
    with pytest.raises(ConfigError, match="is a link"):
        check_evaluation(run)


def test_an_evaluation_of_a_sweep_does_not_follow_a_link_to_a_run(sweep, tmp_path):
    shutil.move(sweep / "seed=0", tmp_path / "mine")
    (sweep / "seed=0").symlink_to(tmp_path / "mine")
    before = files(tmp_path / "mine")
    refused(evaluated.typed(tmp_path, "run=S", "evaluation=code"), "is a link in a sweep")
    assert files(tmp_path / "mine") == before


@pytest.mark.parametrize("kind", ["folder", "file", "nothing"])
def test_a_report_does_not_replace_a_link(kind, sweep, victim):
    put(kind, sweep / "report", victim)
    refused(typed(report.main, "satae-report", str(sweep)), "report: is not a folder")


@pytest.mark.parametrize("kind", ["folder", "file", "nothing"])
def test_an_export_does_not_replace_a_link(kind, sweep, victim):
    put(kind, sweep / "seed=0" / "model.safetensors", victim)
    refused(typed(export.main, "satae-export", f"run={sweep / 'seed=0'}", "format=safetensors"), "exists already")


@pytest.mark.parametrize("name", ["../../x", "/x", "a/b", "x\0y", "..", ".x", ""])
def test_names_of_runs_in_a_manifest_stay_inside_the_sweep(name, sweep):
    manifest = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps(manifest | {"runs": {"0": {"7": name}}}))
    refused(here(sweep.parent, "sweep=./S"), "sweep.json: cannot be read")


@pytest.mark.parametrize("name", ["seed=3,..", "seed=3,.", "seed=3"])
def test_the_name_of_a_configuration_stays_inside_the_bands(name):
    assert tensorboard_sweep._without_seed(name) == "all"


@pytest.mark.parametrize("word", [" hydra.sweep.dir=x", "\thydra.job_logging.x=1", "+ hydra.x=1", "--cfg", "sweep=x"])
def test_a_stored_word_that_would_change_hydra_is_refused(word, sweep):
    manifest = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps(manifest | {"words": [[*TINY, "seed=5", word]]}))
    outcome = here(sweep.parent, "sweep=./S")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1), outcome
    assert not (sweep / "seed=5").exists()


# names that a terminal would obey

BAD = "x\x1b[31m\x9b2J\u202ey\nsatae-train: all is well\x07"


def check_printed(outcome):
    assert outcome.out + outcome.err != ""
    for text in (outcome.out, outcome.err):
        assert {sign for sign in text if not sign.isprintable()} <= {"\n", "\t", "\N{NO-BREAK SPACE}"}
        assert "\nsatae-train: all is well" not in text
    return outcome


@pytest.fixture
def strange(sweep):
    """A sweep in a folder with a bad name, with runs of such names: one failed, one interrupted, one that is torn."""
    place = sweep.parent / BAD
    shutil.move(sweep, place)
    for name, status in ((f"a{BAD}", "failed"), (f"b{BAD}", "interrupted"), (f"c{BAD}", "torn")):
        shutil.copytree(place / "seed=0", place / name)
        record = json.loads((place / name / "run.json").read_text()) | {"status": status, "error": BAD}
        (place / name / "run.json").write_text(json.dumps(record) if status != "torn" else "{")
        config = (place / name / "config.yaml").read_text().replace("\nseed: 0", f"\nseed: {ord(name[0])}")
        (place / name / "config.yaml").write_text(config)
    return place


def test_a_table_prints_no_control_characters(strange, capsys):
    print_sweep(strange, read_all(strange), [strange / f"d{BAD}"])
    outcome = check_printed(Outcome(0, *capsys.readouterr()))
    assert "failed " in outcome.out
    assert "resume with: satae-train $'sweep=" in outcome.out
    for name in (f"a{BAD}", f"b{BAD}"):
        check_printed(Outcome(0, result_line(try_read_run(strange / name)), ""))


@pytest.mark.parametrize("words", [(), (f"run=b{BAD}",)])
def test_an_evaluation_prints_no_control_characters(strange, words):
    named = words or (f"run={strange.parent},{strange}/a{BAD}",)
    folder = strange if words and words[0].startswith("run=b") else strange.parent
    outcome = check_printed(evaluated.typed(folder, *named, "evaluation=code", "code.train=40", "samples=20"))
    assert "x\N{REPLACEMENT CHARACTER}" in outcome.out + outcome.err
    assert outcome.code == 2 or "weights" in outcome.out


def test_a_report_prints_no_control_characters(strange):
    outcome = check_printed(typed(report.main, "satae-report", str(strange), f"{strange}/b{BAD}", f"out={strange}/r"))
    assert outcome.code == 0
    check_printed(typed(report.main, "satae-report", f"{strange}/none{BAD}"))


@pytest.mark.parametrize("words", [("resume=run",), ("sweep=./run",), ("hydra.run.dir=run", "sweep=./run")])
def test_satae_train_prints_no_control_characters(strange, words):
    check_printed(here(strange.parent, *(word.replace("run", f"{BAD}/b{BAD}", 1) for word in words)))


def test_a_resume_command_with_a_strange_name_is_typed_as_it_is_printed(tmp_path):
    (tmp_path / BAD).mkdir()
    command = f"cd {quote_word(BAD)} && pwd"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    assert os.fsdecode(done.stdout) == f"{tmp_path / BAD}\n"


# names that no file can record, and what must not be deleted

NOT_UTF8 = os.fsdecode(b"o\xff")
MAINS = {"train": train, "eval": evaluate, "report": report, "export": export, "data": datasets}


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("train", (*TINY, "hydra.run.dir=@")),
        ("train", (*TINY, "sweep=@")),
        ("train", ("data=array", "data.path=@")),
        ("train", ("resume=@",)),
        ("eval", ("run=@",)),
        ("report", ("@",)),
        ("report", ("S", "out=@")),
        ("export", ("run=S/seed=0", "format=safetensors", "out=@")),
        ("data", ("check", "mnist", "--dir", "@")),
    ],
)
def test_a_word_that_is_not_utf8_is_refused_before_anything_is_written(program, words, made, monkeypatch):
    monkeypatch.chdir(made)
    before = files(made)
    words = [word.replace("@", NOT_UTF8) for word in words]
    refused(typed(MAINS[program].main, f"satae-{program}", *words), "is not UTF-8")
    assert files(made) == before


@pytest.mark.parametrize("kind", ["not UTF-8", "gone"])
def test_a_current_folder_that_cannot_be_used_is_refused(kind, tmp_path, monkeypatch):
    (tmp_path / NOT_UTF8).mkdir()
    monkeypatch.chdir(tmp_path / NOT_UTF8)
    if kind == "gone":
        (tmp_path / NOT_UTF8).rmdir()
    refused(typed(train.main, "satae-train", *TINY), "current folder")
    monkeypatch.undo()
    assert files(tmp_path) in ([], [NOT_UTF8])


def test_a_variable_that_is_not_utf8_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PLACE", NOT_UTF8)
    refused(here(tmp_path, *TINY, "hydra.run.dir=${oc.env:PLACE}"), "is not UTF-8")
    assert files(tmp_path) == []


def test_a_whole_checkpoint_in_a_folder_that_is_not_utf8_is_not_damaged(sweep, tmp_path):
    shutil.move(sweep / "seed=0", tmp_path / NOT_UTF8)
    ((step, path),) = checkpoint.list_checkpoints(tmp_path / NOT_UTF8)
    assert not checkpoint.is_damaged(path)
    with pytest.raises(ValueError, match="is not UTF-8"):
        checkpoint.latest_checkpoint(tmp_path / NOT_UTF8)
    schedule = Checkpoints(keep=1, every_steps=None, every_epochs=None, every_minutes=None)
    checkpoint.CheckpointManager(tmp_path / NOT_UTF8, schedule).save(step - 1, checkpoint.State({}, {}))
    assert path.exists()


def test_a_checkpoint_is_not_skipped_where_no_more_files_can_be_opened(sweep, monkeypatch):
    def no_more_files(path, framework):
        raise FileNotFoundError(f"No such file or directory: {path}")  # what safetensors makes of it

    monkeypatch.setattr(checkpoint, "safe_open", no_more_files)
    with pytest.raises(OSError, match="cannot be opened"):
        checkpoint.latest_checkpoint(sweep / "seed=0")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_result_that_cannot_be_opened_is_not_measured_again(number, tmp_path, monkeypatch):
    (tmp_path / "code.json").write_text("{}")

    def failing(path, flags):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "open", failing)
    for call in (read_if_current, describe_replaced):
        with pytest.raises(ConfigError, match=os.strerror(number)):
            call(tmp_path, "code", {})


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_manifest_that_cannot_be_read_is_not_replaced(number, sweep, monkeypatch):
    lstat = os.lstat

    def failing(path, **options):
        if str(path).endswith("sweep.json"):
            raise OSError(number, os.strerror(number), str(path))
        return lstat(path, **options)

    monkeypatch.setattr(os, "lstat", failing)
    monkeypatch.setattr(os, "stat", lambda path, **named: failing(path) if str(path).endswith("json") else lstat(path))
    with pytest.raises(ConfigError, match=os.strerror(number)):
        read_manifest(sweep)


@pytest.mark.parametrize("name", [layout.CONFIG_FILE, layout.METRICS_FILE])
def test_a_new_run_does_not_replace_files_of_somebody_else(tmp_path, name):
    own = tmp_path / "mine" / name
    own.parent.mkdir()
    own.write_text("mine")
    outcome = here(tmp_path, *TINY, "epochs=1", "hydra.run.dir=mine")
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{name} would be replaced, and satae did not make it; name another folder" in outcome.err
    assert (own.read_text(), [*own.parent.iterdir()]) == ("mine", [own])


@pytest.mark.parametrize("name", [layout.RUNS_CSV_FILE, layout.REPORT_FOLDER])
def test_a_new_sweep_does_not_replace_files_of_somebody_else(tmp_path, name):
    own = tmp_path / "mine" / name
    own.parent.mkdir()
    own.mkdir() if name == layout.REPORT_FOLDER else own.write_text("mine")
    outcome = here(tmp_path, *TINY, "epochs=1", "sweep=./mine", "seed=0,1")
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{name} would be replaced, and satae did not make it; name another folder" in outcome.err
    assert [*own.parent.iterdir()] == [own]


def test_a_run_in_the_folder_of_a_sweep_is_refused(sweep):
    before = files(sweep)
    outcome = here(sweep.parent, *TINY, "epochs=1", "hydra.run.dir=S")
    assert (outcome.code, outcome.out) == (2, "")
    assert "holds a sweep; name another folder for the run" in outcome.err
    assert files(sweep) == before


def test_a_run_beside_other_files_is_made_and_leaves_them(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "mine" / layout.LOCK_FILE).touch()  # of a run that was killed at once
    (tmp_path / "mine" / layout.CONFIG_FILE).touch()
    assert here(tmp_path, *TINY, "epochs=1", "hydra.run.dir=mine").code == 0
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
