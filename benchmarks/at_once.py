"""Run commands, some at a time, and print the last line of each: ``python -m benchmarks.at_once COMMANDS.json 2``."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def last_line(command: list[str]) -> str:
    """Run a command to its end; its last line."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]


def main() -> None:
    """Run the commands of a file: a list of lists of words."""
    commands = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    with ThreadPoolExecutor(int(sys.argv[2])) as pool:
        for line in pool.map(last_line, commands):
            print(line)


if __name__ == "__main__":
    main()
