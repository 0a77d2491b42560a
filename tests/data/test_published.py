"""Published files are fetched once, verified before use, never overwritten, and refused in one line."""

import contextlib
import errno
import io
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import filelock
import numpy as np
import pytest
import torch
from fake_mirrors import (
    MAKERS,
    SOURCES,
    arrays,
    finish,
    mirror,
    nobody,
    published,
    start,
    tar_gz,
    unpacked,
    use_instead,
    write,
)
from fake_mirrors import python2_pickle as pickled
from program import here

from satae.data import published as published_module
from satae.data.cifar10 import ArrayUnpickler
from satae.data.local_files import make_once

NAMES = ["mnist", "cifar10"]
BAD = [404, 503, "cut", "other"]
REASONS = {404: "status 404", 503: "status 503", "cut": "the connection broke off"}
OTHER = {"mnist": "cannot be read", "cifar10": "is not what was published"}  # of files that are no archive


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def use(monkeypatch):
    """Replace the table of a data set."""

    def use(name, *mirrors, **choices):
        table = published(name, *mirrors, **choices)
        use_instead(monkeypatch, table)
        return table

    return use


def rows(x, y):
    return sorted((image.tobytes(), int(label)) for image, label in zip(np.asarray(x), np.asarray(y), strict=True))


def assert_is_stand_in(data):
    (x, y), (test_x, test_y) = arrays(data.name)
    read = torch.cat([data.train.x, data.valid.x]), torch.cat([data.train.y, data.valid.y])
    assert rows(*read) == rows(x, y)
    assert data.test.x.numpy().tobytes() == test_x.tobytes()
    assert data.test.y.tolist() == test_y.tolist()
    assert (data.shape, data.train.x.dtype) == ((1, 28, 28) if data.name == "mnist" else (3, 32, 32), torch.uint8)


def left(folder):
    """What is in a folder, apart from locks, which are kept."""
    return sorted(path.name for path in folder.rglob("*") if not path.name.endswith(".lock"))


def refusal(source, **choices):
    with pytest.raises(ValueError, match=r".") as told:
        source(**choices)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("name", SOURCES)
def test_fetched_files_equal_the_published_ones_and_are_fetched_once(name, cache, use):
    files = MAKERS[name]()
    with mirror(files) as server:
        use(name, server.address)
        assert_is_stand_in(SOURCES[name]())
        assert {file.name: file.read_bytes() for file in cache.glob(f"{name}/[!.]*")} == files
        assert_is_stand_in(SOURCES[name]())
    assert server.gets == dict.fromkeys(files, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [*BAD, "another", "refused"])
def test_the_second_mirror_is_used_when_the_first_fails(name, fault, cache, use):
    files = MAKERS[name]()
    first = files if fault in BAD else MAKERS[name](seed=1)
    with mirror(first, fault) as bad, mirror(files) as good:
        use(name, nobody() if fault == "refused" else bad.address, good.address)
        assert_is_stand_in(SOURCES[name]())
    assert good.gets == dict.fromkeys(files, 1)
    assert bad.gets == ({} if fault == "refused" else good.gets)
    assert left(cache) == sorted([name, *files])


@pytest.mark.parametrize("name", NAMES)
def test_when_all_mirrors_fail_each_is_named_with_its_reason(name, cache, use):
    files = MAKERS[name]()
    first = next(iter(files))
    with contextlib.ExitStack() as stack:
        expected = {
            stack.enter_context(mirror(files, fault)).address: (REASONS | {"other": OTHER[name]})[fault]
            for fault in BAD
        }
        another = stack.enter_context(mirror(MAKERS[name](seed=1)))
        expected |= {another.address: "is not what was published", nobody(): "no connection"}
        use(name, *expected)
        line = refusal(SOURCES[name])
    assert line.startswith(f"{first}: ")
    for address, reason in expected.items():
        assert f"{address}/{first}: {reason}" in line
    assert f"put it into {cache / name}," in line
    assert "data.dir" in line
    assert left(cache) == [name]


@pytest.mark.parametrize("place", ["cache", "mine"])
def test_another_tar_file_is_refused_before_it_is_unpacked(place, cache, tmp_path, use, monkeypatch):
    packed = tar_gz({"first": b"", **unpacked(MAKERS["cifar10"]())})  # what was published, in another tar file
    folder = cache / "cifar10" if place == "cache" else tmp_path / place
    file = write(folder, {"cifar-10-python.tar.gz": packed}) / "cifar-10-python.tar.gz"
    use("cifar10", "http://127.0.0.1:9")
    monkeypatch.setattr("tarfile.open", mock.Mock(side_effect=AssertionError("unpacked")))
    line = refusal(SOURCES["cifar10"], **({} if place == "cache" else {"dir": str(folder)}))
    assert line.startswith(f"{file}: is not what was published: {len(packed):,} bytes with sha256 ")
    assert line.endswith(", or delete it to have it fetched") == (place == "cache")


def test_two_processes_fetch_each_file_once(tmp_path):
    name, files = "mnist", MAKERS["mnist"]()
    (tmp_path / "meet").mkdir()
    with mirror(files, delay=0.1) as server:
        table = published(name, server.address)
        both = [start(tmp_path, table, f"seed={seed}", meet=tmp_path / "meet") for seed in range(2)]
        assert [finish(process)[0] for process in both] == [0, 0]
    assert server.gets == dict.fromkeys(files, 1)
    assert left(tmp_path / "cache") == sorted([name, *files])


def spoil(name, damage):
    """Files of which some are not what was published, and the first of these."""
    files, others = MAKERS[name](), MAKERS[name](seed=1)
    victim, last = next(iter(files)), list(files)[-2 if name == "mnist" else -1]
    content = files[victim]
    half = len(content) // 2
    files |= {
        "truncated": {victim: content[: half + 1]},
        "corrupted": {victim: content[:half] + bytes(99) + content[half + 99 :]},
        "empty": {victim: b""},
        "another": {victim: others[victim]},
        "swapped": {victim: files[last], last: content},
    }[damage]
    return files, victim


DAMAGES = [(name, damage) for name in NAMES for damage in ("truncated", "corrupted", "empty", "another")]


@pytest.mark.parametrize(("name", "damage"), [*DAMAGES, ("mnist", "swapped"), ("svhn", "swapped")])
@pytest.mark.parametrize("given", [True, False])
def test_a_damaged_file_is_named_and_neither_used_nor_touched(name, damage, given, cache, tmp_path, use):
    files, victim = spoil(name, damage)
    folder = write(tmp_path / "mine" if given else cache / name, files)
    with mirror(MAKERS[name]()) as server:
        use(name, server.address)
        line = refusal(SOURCES[name], **({"dir": str(folder)} if given else {}))
    assert line.startswith(f"{folder / victim}: ")
    assert f"{server.address}/{victim}" in line
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    assert not server.gets


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_data_dir_is_the_folder_or_the_one_above_packed_or_not(name, below, packed, cache, tmp_path, use):
    files = MAKERS[name]() if packed else unpacked(MAKERS[name]())
    write(tmp_path / "mine" / name if below else tmp_path / "mine", files)
    use(name, nobody())
    assert_is_stand_in(SOURCES[name](dir=str(tmp_path / "mine")))
    assert not cache.exists()


def test_data_dir_may_be_what_the_archive_unpacks_to(cache, tmp_path, use):
    write(tmp_path, unpacked(MAKERS["cifar10"]()))
    use("cifar10", nobody())
    assert_is_stand_in(SOURCES["cifar10"](dir=str(tmp_path / "cifar-10-batches-py")))


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_unpacked_files_are_verified_too(name, cache, tmp_path, use):
    files = unpacked(MAKERS[name]())
    victim = list(files)[2]
    use(name, nobody())
    folder = write(tmp_path / "mine", files | {victim: files[victim][:-1]})
    assert refusal(SOURCES[name], dir=str(folder)).startswith(f"{folder / victim}: is not what was published")


def test_no_more_of_an_unpacked_file_is_read_than_any_file_has(cache, tmp_path, use, monkeypatch):
    monkeypatch.setattr(published_module, "MAX_BYTES", 100)
    use("mnist", nobody())
    folder = write(tmp_path / "mine", unpacked(MAKERS["mnist"]()))
    assert "is not what was published: 100 bytes" in refusal(SOURCES["mnist"], dir=str(folder))


@pytest.mark.parametrize("name", SOURCES)
def test_data_dir_without_a_file_is_refused_and_nothing_is_fetched(name, cache, tmp_path, use):
    files = MAKERS[name]()
    missing = list(files)[-1]
    write(cache / name, files)
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", {file: content for file, content in files.items() if file != missing})
    with mirror(files) as server:
        use(name, server.address)
        line = refusal(SOURCES[name], dir=str(tmp_path / "mine"))
    assert line.startswith(f"dir={tmp_path / 'mine'}: has no {missing};")
    assert not server.gets


def test_the_folder_of_the_system_comes_before_the_cache(cache, tmp_path, use):
    files = MAKERS["mnist"]()
    names = list(files)
    use("mnist", nobody(), system=tmp_path / "system")
    write(cache / "mnist", files)
    assert_is_stand_in(SOURCES["mnist"]())
    write(tmp_path / "system", {name: files[name] for name in names[:2]})
    write(cache / "mnist", dict.fromkeys(names[:2], b"not read"))
    assert_is_stand_in(SOURCES["mnist"]())
    write(tmp_path / "system", {names[0]: b"read"})
    assert refusal(SOURCES["mnist"]).startswith(f"{tmp_path / 'system' / names[0]}: ")


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_reported_and_leaves_nothing(name, cache, use, monkeypatch):
    def full(_, file):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    use(name, nobody(), nobody())
    monkeypatch.setattr(published_module, "download", full)
    line = refusal(SOURCES[name])
    assert line.startswith(f"{cache / name / next(iter(MAKERS[name]()))}: cannot be written (No space left on device);")
    assert "SATAE_DATA_DIR" in line
    assert left(cache) == [name]


def test_a_cache_that_is_not_a_folder_is_reported(cache, use):
    cache.write_text("a file")
    use("mnist", nobody())
    assert f"{cache / 'mnist'}" in refusal(SOURCES["mnist"])
    assert cache.read_text() == "a file"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, ValueError])
def test_a_failed_make_leaves_nothing(error, tmp_path):
    def fail(part):
        part.write_text("half")
        raise error

    with pytest.raises(error):
        make_once(tmp_path / "folder" / "file", fail)
    assert left(tmp_path) == ["folder"]
    assert make_once(tmp_path / "folder" / "file", lambda part: part.write_text("whole")).read_text() == "whole"
    assert make_once(tmp_path / "folder" / "file", fail).read_text() == "whole"


def test_files_of_a_killed_process_are_removed(tmp_path):
    write(tmp_path / ".file.part", {"file": b"half", "other": b"half"})
    (tmp_path / ".file.lock").touch()
    seen = []

    def make(part):
        seen.extend(part.parent.iterdir())
        part.write_text("whole")

    assert make_once(tmp_path / "file", make).read_text() == "whole"
    assert not seen
    assert left(tmp_path) == ["file"]


def test_an_interrupted_waiter_does_not_disturb_the_maker(tmp_path):
    def make(part):
        with mock.patch.object(filelock, "FileLock", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            make_once(tmp_path / "file", make)
        part.write_text("whole")

    assert make_once(tmp_path / "file", make).read_text() == "whole"


def test_a_failed_maker_does_not_disturb_the_next_one(tmp_path, monkeypatch):
    started, over, next_one = threading.Event(), threading.Event(), []

    class Lock(filelock.FileLock):
        def __exit__(self, *error):
            super().__exit__(*error)
            assert over.is_set() or started.wait(30)

    def make(part):
        started.set()
        over.wait(30)
        part.write_text("whole")

    def fail(_):
        next_one.append(pool.submit(make_once, tmp_path / "file", make))
        raise ValueError("no mirror")

    monkeypatch.setattr(filelock, "FileLock", Lock)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="no mirror"):
            make_once(tmp_path / "file", fail)
        over.set()
        assert next_one[0].result().read_text() == "whole"


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cposix\nsystem\n(S'true'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"cnumpy\nndarray.tofile\n.",
        b"cnumpy.core.multiarray\nscalar\n.",
    ],
)
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(content):
    with mock.patch.object(os, "system") as system, pytest.raises(pickle.UnpicklingError, match="asks for"):
        ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    system.assert_not_called()


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_arrays_of_a_pickle_are_read(kind):
    array = np.arange(12, dtype=kind).reshape(3, 4)
    content = pickled({b"data": array, b"labels": [1, 2], b"name": b"x"})
    assert b"cnumpy.core.multiarray\n_reconstruct" in content
    read = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    assert set(read) == {b"data", b"labels", b"name"}
    assert read[b"data"].dtype == kind
    assert np.array_equal(read[b"data"], array)


def test_ten_is_zero_in_svhn(cache, use):
    write(cache / "svhn", MAKERS["svhn"]())
    use("svhn", nobody())
    data = SOURCES["svhn"](valid=0.5)
    assert [tuple(split.x.shape) for split in data.splits] == [(10, 3, 32, 32)] * 3
    assert sorted({*data.train.y.tolist(), *data.valid.y.tolist()}) == list(range(10))
    assert data.test.y.tolist() == list(range(10))


@pytest.mark.parametrize("behaviour", ["serve", 404])
def test_the_command_trains_on_what_it_fetches_or_refuses_in_one_line(behaviour, tmp_path, use):
    with mirror(MAKERS["cifar10"](), behaviour) as server:
        use("cifar10", server.address)
        valid = f"data.valid={0.2 if behaviour == 'serve' else 0.3}"  # data that were read stay in memory
        outcome = here(tmp_path, "data=cifar10", valid, "epochs=1", "threads=1", "arch.widths=[16,4]")
    lines = [line for line in outcome.err.splitlines() if not line.startswith("fetching ")]
    assert (tmp_path / "outputs").is_dir() == (behaviour == "serve")
    if behaviour == "serve":
        assert (outcome.code, lines) == (0, [])
    else:
        assert (outcome.code, len(lines)) == (2, 1)
        assert lines[0].startswith("satae-train: data=cifar10: cifar-10-python.tar.gz: ")
        assert "status 404" in lines[0]


def test_the_command_refuses_in_one_line_what_the_disk_cannot_hold(tmp_path):
    files = MAKERS["mnist"]()
    with mirror(files) as server:
        code, lines = finish(start(tmp_path, published("mnist", server.address), most=1000))
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith("satae-train: ")
    assert f"{next(iter(files))}: cannot be written (File too large)" in lines[0]
    assert left(tmp_path) == ["cache", "mnist"]


def test_a_mirror_cannot_send_more_than_any_file_has(cache, use, monkeypatch):
    monkeypatch.setattr(published_module, "MAX_BYTES", 1000)
    with mirror(MAKERS["svhn"]()) as server:
        use("svhn", server.address)
        with pytest.raises(ValueError, match="sends more than 1,000 bytes"):
            SOURCES["svhn"]()
    assert not [file for file in cache.rglob("*") if file.suffix == ".mat" and file.is_file()]


def test_no_more_is_decompressed_than_any_file_has(cache, use, monkeypatch):
    read = []
    monkeypatch.setattr(published_module, "MAX_BYTES", 500)
    monkeypatch.setattr(published_module.gzip.GzipFile, "read", lambda file, size=-1: read.append(size) or b"x" * size)
    write(cache / "mnist", MAKERS["mnist"]())
    use("mnist", nobody())
    with pytest.raises(ValueError, match="is not what was published: 500 bytes"):
        SOURCES["mnist"]()
    assert read == [500]


def test_missing_certificates_are_a_fault_of_the_mirror_not_of_the_disk(cache, use, monkeypatch):
    fault = OSError("Could not find a suitable TLS CA certificate bundle")
    monkeypatch.setattr("requests.get", mock.Mock(side_effect=fault))
    use("mnist", nobody())
    with pytest.raises(ValueError, match=r"could not be fetched \(.*TLS CA certificate"):
        SOURCES["mnist"]()


def test_a_waiting_process_says_so(tmp_path, capsys):
    with filelock.FileLock(tmp_path / ".file.lock"):
        waiting = threading.Thread(target=make_once, args=(tmp_path / "file", lambda part: part.write_text("whole")))
        waiting.start()
        waiting.join(2)
    waiting.join()
    assert f"waiting for another process that makes {tmp_path / 'file'}" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "whole"
