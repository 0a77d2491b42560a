"""satae-data: what it lists, fetches and verifies, and its exit codes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_mirrors import MAKERS, SOURCES, mirror, nobody, published, unpacked, use_instead, write
from program import ROOT

from satae import datasets
from satae.config.registry import DATA_SOURCES
from satae.data.images import IMAGE_SUFFIXES
from satae.data.published import PUBLISHED_SETS, PublishedSet

PROGRAM = Path(sys.executable).with_name("satae-data")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def stand_in(monkeypatch, cache):
    """Replace the tables by stand-ins that some mirrors have."""

    def stand_in(*mirrors):
        monkeypatch.setitem(PUBLISHED_SETS, "fashion_mnist", PublishedSet("fashion_mnist", ()))
        for name in MAKERS:
            use_instead(monkeypatch, published(name, *(mirrors or [nobody()])))

    return stand_in


@pytest.fixture
def satae_data(monkeypatch, capsys):
    """Run the command in this process: exit code, lines on stdout, lines on stderr."""

    def satae_data(*words):
        monkeypatch.setattr(sys, "argv", ["satae-data", *map(str, words)])
        code = datasets.main()
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return satae_data


def listed(lines):
    head, *rows = (line.split("\t") for line in lines)
    assert head == ["name", "state", "size", "where"]
    return {name: (state, size, where) for name, state, size, where in rows}


def test_list_into_a_pipe_is_a_table_of_tabs(cache, stand_in, satae_data):
    stand_in()
    write(cache / "mnist", MAKERS["mnist"]())
    damaged = {name: content[:-99] for name, content in MAKERS["svhn"]().items()}
    write(cache / "svhn", damaged)
    code, out, err = satae_data("list")
    rows = listed(out)
    assert (code, err) == (0, [])
    assert set(rows) == {*DATA_SOURCES.names()}
    assert rows["folder"] == ("your own", "", "your own images: a folder")
    assert rows["digits"] == ("embedded", "", "8x8 images of handwritten digits, in scikit-learn")
    assert rows["mnist"] == ("verified", str(sum(map(len, MAKERS["mnist"]().values()))), str(cache / "mnist"))
    assert rows["svhn"] == ("damaged", str(sum(map(len, damaged.values()))), str(cache / "svhn"))
    assert rows["cifar10"] == ("not here", "", "satae-data fetch cifar10")


def test_list_marks_incomplete_and_damaged_data_sets(cache, stand_in, satae_data):
    stand_in()
    files = dict(list(MAKERS["mnist"]().items())[:3])
    write(cache / "mnist", files)
    assert listed(satae_data("list")[1])["mnist"] == (
        "incomplete",
        str(sum(map(len, files.values()))),
        str(cache / "mnist"),
    )
    write(cache / "mnist", dict.fromkeys(files, b"damaged"))
    assert listed(satae_data("list")[1])["mnist"][0] == "damaged"


def test_list_looks_only_into_the_folder_that_is_given(cache, stand_in, satae_data, tmp_path):
    stand_in()
    write(cache / "mnist", MAKERS["mnist"]())
    write(tmp_path / "mine" / "cifar10", unpacked(MAKERS["cifar10"]()))
    rows = listed(satae_data("list", "--dir", tmp_path / "mine")[1])
    assert rows["mnist"][0] == "not here"
    assert rows["cifar10"][::2] == ("verified", str(tmp_path / "mine" / "cifar10" / "cifar-10-batches-py"))


def test_list_on_a_terminal_has_the_same_names(cache, stand_in, satae_data, monkeypatch):
    stand_in()
    write(cache / "mnist", MAKERS["mnist"]())
    names = set(listed(satae_data("list")[1]))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "300")
    code, out, _ = satae_data("list")
    assert code == 0
    assert "\t" not in "".join(out)
    assert names <= {line.split()[0] for line in out}
    assert str(cache / "mnist") in "".join(out)


@pytest.mark.parametrize("folder", ["plain", "a [b] c", "a[", "[/b]", "[red]"])
def test_a_folder_is_shown_on_a_terminal_as_it_is_called(folder, stand_in, satae_data, monkeypatch, tmp_path):
    stand_in()
    write(tmp_path / folder / "mnist", MAKERS["mnist"]())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "500")
    _, out, _ = satae_data("list", "--dir", tmp_path / folder)
    assert str(tmp_path / folder / "mnist") in "".join(out)


def test_decoded_images_are_listed(cache, stand_in, satae_data):
    stand_in()
    write(cache / "decoded", {"birds-0123.npy": b"12345", ".half.npy": b"1", "note.txt": b"1"})
    lines = [line.split("\t") for line in satae_data("list")[1]]
    decoded = [line for line in lines if line[1] == "decoded"]
    assert [line[2:] for line in decoded] == [["5", str(cache / "decoded" / "birds-0123.npy")]]


def test_fetch_gets_every_file_once(cache, stand_in, satae_data):
    files = {name: content for make in MAKERS.values() for name, content in make().items()}
    with mirror(files) as server:
        stand_in(server.address)
        for asked in ([*MAKERS, "mnist"], ["mnist"], ["all"]):
            code, out, err = satae_data("fetch", *asked)
            assert code == 0
            assert len(out) == (4 if asked == ["mnist"] else len(files))
            assert all(": verified " in line for line in out)
            assert all(line.startswith("fetching ") for line in err)
    assert server.gets == dict.fromkeys(files, 1)
    assert {file.name for file in cache.glob("*/[!.]*")} == set(files)


@pytest.mark.parametrize("name", SOURCES)
def test_data_dir_finds_files_that_were_fetched_into_a_folder(name, cache, stand_in, satae_data):
    files = MAKERS[name]()
    with mirror(files) as server:
        stand_in(server.address)
        for _ in range(2):
            assert satae_data("fetch", name, "--dir", "mine")[0] == 0
    assert server.gets == dict.fromkeys(files, 1)
    assert not cache.exists()
    assert SOURCES[name](dir="mine").name == name
    assert satae_data("check", name, "--dir", "mine")[0] == 0
    assert satae_data("check", name)[0] == 2


@pytest.mark.parametrize("damage", [None, "damaged"])
def test_fetch_says_in_one_line_what_it_cannot_do(damage, cache, stand_in, satae_data):
    stand_in()
    if damage:
        write(cache / "mnist", dict.fromkeys(MAKERS["mnist"](), b"damaged"))
    code, out, err = satae_data("fetch", "mnist")
    lines = [line for line in err if not line.startswith("fetching ")]
    assert (code, out, len(lines)) == (2, [], 1)
    assert lines[0].startswith("satae-data: ")
    assert "train-images-idx3-ubyte.gz" in lines[0]


def test_check_passes_when_all_is_verified_or_absent(cache, stand_in, satae_data):
    stand_in()
    code, out, err = satae_data("check")
    assert (code, err) == (0, [])
    assert all("is not here" in line for line in out)
    write(cache / "mnist", MAKERS["mnist"]())
    code, out, err = satae_data("check")
    assert (code, err) == (0, [])
    verified = [line for line in out if ": verified " in line]
    assert verified == [f"mnist: verified {cache / 'mnist' / name}" for name in MAKERS["mnist"]()]
    assert satae_data("check", "mnist")[0] == 0


@pytest.mark.parametrize("names", [["cifar10"], ["mnist", "cifar10"], ["all"]])
def test_check_fails_when_a_named_data_set_is_missing(names, cache, stand_in, satae_data):
    stand_in()
    write(cache / "mnist", MAKERS["mnist"]())
    code, out, _ = satae_data("check", *names)
    assert code == 2
    assert "cifar10: cifar-10-python.tar.gz is not here" in out


@pytest.mark.parametrize("names", [[], ["mnist"], ["all"]])
def test_check_fails_when_anything_is_damaged_and_names_it(names, cache, stand_in, satae_data):
    stand_in()
    files = MAKERS["mnist"]()
    bad = list(files)[1]
    write(cache / "mnist", files | {bad: b"damaged"})
    code, out, err = satae_data("check", *names)
    assert (code, len(err)) == (2, 1)
    assert f"mnist: {cache / 'mnist' / bad}: cannot be read" in err[0]
    assert sum("mnist: verified" in line for line in out) == 3
    assert satae_data("check", "svhn")[2] == []


@pytest.mark.parametrize("command", ["fetch", "check"])
def test_an_unknown_name_is_refused_with_the_choices(command, stand_in, satae_data):
    stand_in()
    code, out, err = satae_data(command, "mnist", "minst")
    assert (code, out, len(err)) == (2, [], 1)
    choices = f"choose one of {', '.join(DATA_SOURCES.owners('dir'))}, all"
    assert err == [f"satae-data: minst: no such data set; {choices}; did you mean mnist?"]
    assert satae_data(command, "digits")[2] == [f"satae-data: digits: has no files to fetch or check; {choices}"]


@pytest.mark.parametrize("words", [[], ["fetch"], ["lits"], ["list", "mnist"], ["check", "--force"]])
def test_a_command_that_cannot_be_read_is_refused_in_one_line(words, stand_in, satae_data):
    stand_in()
    code, out, err = satae_data(*words)
    assert (code, out, len(err)) == (2, [], 1)
    assert err[0].startswith("satae-data: ")
    assert "--help" in err[0]


@pytest.mark.parametrize(("word", "meant"), [("lits", "list"), ("fecth", "fetch"), ("chekc", "check")])
def test_a_misspelled_command_is_refused_with_the_one_that_was_meant(word, meant, stand_in, satae_data):
    stand_in()
    err = f"satae-data: {word}: choose one of list, fetch, check; did you mean {meant}? (see satae-data --help)"
    assert satae_data(word, "mnist") == (2, [], [err])


@pytest.mark.parametrize("words", [["--help"], ["list", "--help"], ["fetch", "-h"], ["check", "--help"]])
def test_help(words, satae_data, capsys):
    with pytest.raises(SystemExit) as stop:
        satae_data(*words)
    out, err = capsys.readouterr()
    assert (stop.value.code, err) == (0, "")
    assert out.startswith("usage: satae-data")


def test_the_installed_program_lists(tmp_path):
    done = subprocess.run(
        [PROGRAM, "list", "--dir", tmp_path], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [row for row in listed(done.stdout.splitlines()).values() if row[0] == "not here"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["~nobodyhere", "x" * 300])
def test_a_folder_that_cannot_be_is_no_traceback(stand_in, satae_data, folder):
    stand_in()
    code, _, err = satae_data("list", "--dir", folder)
    assert len(err) <= 1
    assert code in (0, 1, 2)


def test_a_fault_of_the_program_is_printed_in_one_line(stand_in, satae_data, monkeypatch):
    def faulty(*_):
        raise RuntimeError("out of luck.\nand more")

    stand_in()
    monkeypatch.setattr(datasets, "find_archive", faulty)
    assert satae_data("list") == (1, [], ["satae-data: RuntimeError: out of luck (HYDRA_FULL_ERROR=1 shows where)"])


def test_an_incomplete_set_does_not_pass(cache, stand_in, satae_data):
    stand_in()
    files = MAKERS["mnist"]()
    write(cache / "mnist", dict([*files.items()][:3]))
    code, out, _ = satae_data("check")
    assert code == 2
    assert f"mnist: {[*files][3]} is not here" in out


@pytest.mark.parametrize(
    "words",
    [
        ["satae.datasets"],
        ["satae.datasets", "list"],
        ["satae.datasets", "--help"],
        ["satae.train", "--help"],
        ["satae.train", "--info", "config"],
        ["satae.train", "--cfg", "job"],
        ["satae.train", "-sc", "bash"],
        ["satae.evaluate", "--help"],
        ["satae.report", "--help"],
        ["satae.export", "--help"],
    ],
    ids=" ".join,
)
def test_what_only_shows_imports_nothing_heavy(words, tmp_path):
    code = f"import sys, {words[0]}\nsys.argv[1:] = {words[1:]}\ntry: {words[0]}.main()\nexcept SystemExit: pass\n"
    code += "print({'torch', 'matplotlib', 'numpy', 'PIL', 'sklearn'} & {*sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "set()"


DOCS = (ROOT / "docs" / "data.md").read_text("utf-8")


def test_the_table_in_the_docs_has_every_source():
    table = DOCS.partition("\n\n")[2].partition("\n\n")[0].splitlines()[2:]
    assert {re.search(r"data=(\w+)", row)[1] for row in table} == {*DATA_SOURCES.names()}
    for name in PUBLISHED_SETS:
        assert [row for row in table if f"data={name} " in row.replace("`", " ") and "fetched once" in row], name


def test_published_data_sets_are_those_that_take_a_folder():
    assert {*PUBLISHED_SETS} == {*DATA_SOURCES.owners("dir")}
    assert [name for name, published in PUBLISHED_SETS.items() if published.name != name] == []


def test_docs_name_every_ending_of_images():
    assert [ending for ending in IMAGE_SUFFIXES if ending not in DOCS] == []
