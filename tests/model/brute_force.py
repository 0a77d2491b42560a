"""Oracles of the flat set and of f_c: a fine grid, reverse-mode autograd, and minima over all points of the grid."""

import math

import torch
from every_activation import ACTIVATIONS
from torch import nn

STEP = 2.0**-7
GRID = torch.arange(-12, 12 + STEP, STEP, dtype=torch.float64)  # holds every kink, and z_eps of every tail
FAR = 1e9  # where a tail has reached its limit

NON_MONOTONE = ["hardswish", "gelu", "silu", "mish"]
PIECEWISE = ["relu", "shrink", "satlin", "relu6", "hardsigmoid"]
READINGS = [
    (name, reading)
    for name in ACTIVATIONS
    for reading in ("output", "input", "slope")
    if not (reading == "output" and name in NON_MONOTONE)
]

KINKS = {
    "relu": [0.0],
    "shrink": [-0.5, 0.5],
    "satlin": [-1.0, 1.0],
    "relu6": [0.0, 6.0],
    "hardsigmoid": [-3.0, 3.0],
    "hardswish": [-3.0, 3.0],
}

MORE = {  # other parameters, each with its kinks on the grid
    "shrink 1.25": lambda: nn.Softshrink(1.25),
    "satlin -0.5 2": lambda: nn.Hardtanh(-0.5, 2.0),
    "relu inplace": lambda: nn.ReLU(inplace=True),
    "elu 2": lambda: nn.ELU(2.0),
    "celu 2": lambda: nn.CELU(2.0),
    "softplus 3": lambda: nn.Softplus(3.0),
}


def reverse_slope(act: nn.Module, z: torch.Tensor) -> torch.Tensor:
    """f'(z) by a backward pass."""
    z = z.clone().requires_grad_()
    act(z * 1).sum().backward()  # * 1: an inplace activation refuses a leaf
    return z.grad


def _runs(mask: torch.Tensor) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = torch.diff(mask.int(), prepend=torch.zeros(1), append=torch.zeros(1))
    return list(zip((edges == 1).nonzero().flatten().tolist(), (edges == -1).nonzero().flatten().tolist(), strict=True))


def flat_points(act: nn.Module, eps: float) -> tuple[torch.Tensor, bool]:
    """Which points of the grid are flat; and whether exactly so, rather than in tails where |f'| <= eps."""
    slope = reverse_slope(act, GRID).abs()
    flat = torch.zeros_like(GRID, dtype=torch.bool)
    exact = [(first, end) for first, end in _runs(slope == 0) if end - first > 1]  # a single point is not an interval
    touching = [(first, end) for first, end in _runs(slope <= eps) if first == 0 or end == len(GRID)]
    for first, end in exact or touching:
        flat[first:end] = True
    return flat, bool(exact)


def brute_force(act: nn.Module, z: torch.Tensor, reading: str, eps: float) -> torch.Tensor:
    """f_c(z) to within a step of the grid."""
    flat, exact = flat_points(act, eps)
    if reading == "slope":
        return reverse_slope(act, z).abs()
    if reading == "input":
        return (z[:, None] - GRID[flat]).abs().amin(dim=1)
    ends = [-FAR] * bool(flat[0]) + [FAR] * bool(flat[-1])
    on_flat = GRID[flat] if exact else torch.tensor(ends, dtype=torch.float64)  # a tail counts by its limit
    return (act(z.clone())[:, None] - act(on_flat)).abs().amin(dim=1)


def away_from_kinks(name: str, z: torch.Tensor, margin: float = 1e-3) -> torch.Tensor:
    """The points of z at which the activation, and the distance to its flat set, are smooth."""
    for kink in [*KINKS.get(name, []), 0.0, 3.0]:  # 0 and 3: midway between two flat intervals
        z = z[(z - kink).abs() > margin]
    return z


def logit(p: float) -> float:
    return math.log(p / (1 - p))
