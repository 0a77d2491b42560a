"""Small stand-ins for the published data sets, mirrors on this machine that give them, and satae-train reading them."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.io import savemat

from satae.data import cifar10, mnist, svhn
from satae.data.published import PUBLISHED_SETS, Archive, PublishedSet

SHAPES = {"mnist": (28, 28), "cifar10": (3, 32, 32), "svhn": (3, 32, 32)}
COUNTS = {"mnist": (40, 10), "cifar10": (20, 4), "svhn": (20, 10)}
SOURCES = {"mnist": mnist.mnist, "cifar10": cifar10.cifar10, "svhn": svhn.svhn}
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def arrays(name, seed=0):
    """What a stand-in holds: images (N, *shape) and labels (N,), to train and to test."""
    random = np.random.default_rng(seed)
    return [
        (random.integers(0, 256, (count, *SHAPES[name]), np.uint8), ((np.arange(count) + seed) % 10).astype(np.uint8))
        for count in COUNTS[name]
    ]


def make_mnist(seed=0):
    """The four files, by name."""
    files = {}
    for part, (x, y) in zip(("train", "t10k"), arrays("mnist", seed), strict=True):
        files[f"{part}-images-idx3-ubyte.gz"] = struct.pack(">HBB3I", 0, 8, 3, *x.shape) + x.tobytes()
        files[f"{part}-labels-idx1-ubyte.gz"] = struct.pack(">HBBI", 0, 8, 1, len(y)) + y.tobytes()
    return {name: gzip.compress(content, mtime=0) for name, content in files.items()}


def make_cifar10(seed=0):
    """The archive, with files that the data set does not need."""
    (x, y), (test_x, test_y) = arrays("cifar10", seed)
    batches = zip(BATCHES, [*np.split(x, 5), test_x], [*np.split(y, 5), test_y], strict=True)
    contents = {
        name: python2_pickle({b"batch_label": name.encode(), b"labels": y.tolist(), b"data": x.reshape(len(x), -1)})
        for name, x, y in batches
    }
    contents |= {"readme.html": b"<p>", "batches.meta": python2_pickle({b"num_vis": 3072})}
    return {"cifar-10-python.tar.gz": tar_gz({f"cifar-10-batches-py/{name}": part for name, part in contents.items()})}


def make_svhn(seed=0):
    """The two files, by name; 0 is written 10 in them."""
    files = {}
    for part, (x, y) in zip(("train", "test"), arrays("svhn", seed), strict=True):
        file = io.BytesIO()
        savemat(file, {"X": x.transpose(2, 3, 1, 0), "y": np.where(y == 0, 10, y)[:, None]}, do_compression=True)
        header = b"MATLAB 5.0 MAT-file".ljust(116)  # scipy writes the time there; the hash of a file must not change
        files[f"{part}_32x32.mat"] = header + file.getvalue()[116:]
    return files


FOLDERS = {"cifar10": "cifar-10-batches-py"}  # in which they lie, unpacked
MAKERS = {"mnist": make_mnist, "cifar10": make_cifar10, "svhn": make_svhn}


class _Python2(pickle._Pickler):
    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, obj):
        content = obj if isinstance(obj, bytes) else obj.encode()
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(obj)

    dispatch[bytes] = dispatch[str] = save_string


def python2_pickle(value):
    """As Python 2 with the numpy of its time wrote it: protocol 2, where all strings are bytes."""
    file = io.BytesIO()
    _Python2(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def tar_gz(contents):
    """An archive whose bytes, and so its checksum, do not depend on the time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def parts(file, content):
    """What the data set needs of a file, decompressed, by name."""
    if file.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return {name: tar.extractfile(name).read() for name in tar.getnames() if Path(name).name in BATCHES}
    return {file.removesuffix(".gz"): gzip.decompress(content)} if file.endswith(".gz") else {file: content}


def unpacked(files):
    """All that the data set needs of some files, decompressed, by name."""
    return {name: part for file, content in files.items() for name, part in parts(file, content).items()}


def write(folder, files):
    """Put files into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def digests(file, content):
    return {Path(name).name: hashlib.sha256(part).hexdigest() for name, part in parts(file, content).items()}


def published(name, *mirrors, system=None):
    """A stand-in, as it would be published by mirrors with these addresses."""
    archives = (
        Archive(
            file,
            digests(file, content),
            tuple(f"{address}/{file}" for address in mirrors),
            FOLDERS.get(name, ""),
            hashlib.sha256(content).hexdigest() if file.endswith(".tar.gz") else "",
        )
        for file, content in MAKERS[name]().items()
    )
    return PublishedSet(name, tuple(archives), system)


def use_instead(monkeypatch, table):
    """Have a stand-in take the place of the published data set of its name."""
    monkeypatch.setitem(PUBLISHED_SETS, table.name, table)


class Mirror(NamedTuple):
    """A server; ``gets`` counts what was asked of it, by path."""

    address: str
    gets: Counter


@contextlib.contextmanager
def mirror(files, behaviour="serve", delay=0.0):
    """A server of files that can also "serve" a status such as 404, "other" contents, or "cut" the connection."""
    gets = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            gets[self.path.strip("/")] += 1
            time.sleep(delay)
            content = files.get(self.path.strip("/"))
            if isinstance(behaviour, int) or content is None:
                self.send_error(404 if content is None else behaviour)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write({"cut": content[: len(content) // 2], "other": content[::-1]}.get(behaviour, content))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Mirror(f"http://127.0.0.1:{server.server_port}", gets)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def nobody():
    """An address at which nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


DRIVER = """
import json, os, resource, sys, time
from pathlib import Path
import satae.experiment.build, satae.train
from satae.data.published import PUBLISHED_SETS, Archive, PublishedSet

told = json.loads(os.environ["STAND_IN"])
archives = tuple(Archive(name, parts, tuple(mirrors), *more) for name, parts, mirrors, *more in told["archives"])
PUBLISHED_SETS[told["name"]] = PublishedSet(told["name"], archives)
if told["most"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (told["most"], told["most"]))
if told["meet"]:
    (Path(told["meet"]) / str(os.getpid())).touch()
    while len(os.listdir(told["meet"])) < 2:
        time.sleep(0.01)
sys.exit(satae.train.main())
"""
WORDS = ("epochs=1", "batch_size=8", "threads=1", "arch.widths=[16,4]")


def start(folder, table, *words, meet=None, most=None):
    """Start satae-train in a process of its own, with a stand-in for a data set.

    Args:
        folder: to run from; its folder "cache" is for data sets.
        table: the stand-in.
        words: of the command line.
        meet: an empty folder in which two processes wait for each other before they read data.
        most: bytes that a file can have.
    """
    told = {"name": table.name, "archives": table.archives, "meet": meet and str(meet), "most": most}
    there = {"STAND_IN": json.dumps(told), "SATAE_DATA_DIR": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, f"data={table.name}", *WORDS, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **there},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Exit code, and the lines on stderr without those of a download that begins."""
    with process:
        _, err = process.communicate(timeout=120)
    return process.returncode, [line for line in err.splitlines() if not line.startswith("fetching ")]
