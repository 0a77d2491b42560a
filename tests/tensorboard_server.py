"""Start a TensorBoard server for a test, and send it requests."""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode
from urllib.request import Request, urlopen

PATIENCE = 60  # seconds


class Served(NamedTuple):
    address: str

    def get(self, path, body=None, **query):
        """Return the JSON answer of a plugin to a request."""
        sent = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.address}/data/{path}?{urlencode(query)}", sent, headers)) as answer:
            return json.load(answer)

    def comes_to(self, wanted, asked):
        """Repeat a request until the answer equals ``wanted``; fail after ``PATIENCE`` seconds."""
        end = time.monotonic() + PATIENCE
        while (found := asked(self)) != wanted and time.monotonic() < end:
            time.sleep(0.2)
        assert found == wanted


@contextlib.contextmanager
def served(folder, *words):
    """Serve a folder on a free local port."""
    called = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1", "--port", "0"]
    with tempfile.NamedTemporaryFile() as log, subprocess.Popen([*called, *words], stderr=log) as server:
        try:
            yield Served(_address(Path(log.name)))
        finally:
            server.terminate()  # a kill would leave its data server running
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(PATIENCE)
            server.kill()


def _address(log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text("utf-8")):
            return found[0]
        time.sleep(0.1)
    raise TimeoutError("TensorBoard does not start")
