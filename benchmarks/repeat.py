"""Time a command that is soon over, again and again: ``python -m benchmarks.repeat 10 COMMAND WORD...``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median


def main() -> None:
    """Print the median of its wall time, the first run left out, which reads what the others find in memory."""
    times, command = [], sys.argv[2:]
    for _ in range(int(sys.argv[1]) + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    print(json.dumps({"wall_s": median(times[1:])}))


if __name__ == "__main__":
    main()
