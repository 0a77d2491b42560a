"""Time a command that is soon over, again and again: ``python -m benchmarks.repeat 10 COMMAND WORD...``.

``{}`` in a word is replaced by the number of the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median


def main() -> None:
    """Print the median of its wall time, the first run left out, which reads what the others find in memory."""
    times, command = [], sys.argv[2:]
    for number in range(int(sys.argv[1]) + 1):
        words = [word.replace("{}", str(number)) for word in command]
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    print(json.dumps({"wall_s": median(times[1:])}))


if __name__ == "__main__":
    main()
