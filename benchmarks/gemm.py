"""The limit that matrix products in fp32 set here: one large product, and the nine products of a step of W1.

Each product is computed by MKL, torch's own choice, and by oneDNN; the quicker one counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from benchmarks.workloads import BATCH, WORKLOADS, gemm_flops, sizes
from satae.model.products import has_onednn, onednn_linear

SIDE: Final = 2048
REPEATS: Final = 60


def best_time(multiply: Callable[[], object]) -> float:
    """The shortest of many times of a product, in seconds."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        multiply()
        best = min(best, time.perf_counter() - start)
    return best


def product_time(a: Tensor, b: Tensor) -> float:
    """Seconds of a @ b by the quicker library."""
    out = torch.empty(len(a), b.shape[1])
    times = [best_time(lambda: torch.mm(a, b, out=out))]
    times += [best_time(lambda: onednn_linear(a, b.t()))] if has_onednn() else []
    return min(times)


def step_time(widths: tuple[int, ...]) -> float:
    """Seconds of all products of a step: forward, gradient of the weights, and of all inputs but the first."""
    total = 0.0
    for number, (inputs, outputs) in enumerate(pairwise(sizes(widths))):
        h, weight, g = torch.randn(BATCH, inputs), torch.randn(outputs, inputs), torch.randn(BATCH, outputs)
        total += product_time(h, weight.t()) + product_time(g.t(), h)
        total += product_time(g, weight) if number else 0.0
    return total


def main() -> None:
    """Print the best of many."""
    large = product_time(torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE))
    step_s = step_time(WORKLOADS["W1"].widths)
    step_flops = BATCH * gemm_flops(WORKLOADS["W1"].widths) / step_s
    print(json.dumps({"flops": 2 * SIDE**3 / large, "step_s": step_s, "step_flops": step_flops}))


if __name__ == "__main__":
    with torch.no_grad():
        main()
