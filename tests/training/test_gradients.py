"""The forward pass of a step, compiled."""

import pytest
import torch
from torch import nn

import satae
from satae.training.gradients import batch_losses, missing_compiler
from satae.training.torch_settings import Precision

CPU = torch.device("cpu")
OBJECTIVE = satae.Objective(satae.Complement(nn.ReLU()))


def examples(count):
    x = torch.rand(count, 1, 8, 8)
    return x, x + 0.1


def test_a_smaller_last_batch_is_not_compiled(monkeypatch):
    sizes, modes = [], []

    def recording(function, mode):
        def recorded(model, x, x_noisy):
            sizes.append(len(x))
            return function(model, x, x_noisy)

        modes.append(mode)
        return recorded

    monkeypatch.setattr(torch, "compile", recording)
    model, losses_of = satae.mlp((1, 8, 8), nn.ReLU, widths=[4]), batch_losses(OBJECTIVE, Precision(), CPU, 8)
    for count in (8, 8, 5):
        x = examples(count)
        assert all(map(torch.equal, losses_of(model, *x, 0.3), OBJECTIVE(model, *x, 0.3)))
    assert sizes == [8, 8]
    batch_losses(OBJECTIVE, Precision(), torch.device("cuda"), 8)
    assert modes == [None, "reduce-overhead"]


def test_results_of_a_compiled_pass_outlast_the_next_pass(monkeypatch):
    kept = torch.zeros(2)  # as a CUDA graph, which writes to one place

    def graph(model, x, x_noisy):
        return kept.add_(1).unbind()

    monkeypatch.setattr(torch, "compile", lambda function, mode: graph)
    losses_of = batch_losses(OBJECTIVE, Precision(), CPU, 8)
    first, second = (losses_of(None, *examples(8), 0.0) for _ in range(2))
    assert [loss.item() for loss in (*first, *second)] == [1, 1, 1, 2, 2, 2]


def test_a_machine_without_a_compiler_cannot_compile(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert missing_compiler(CPU) == "no-such-compiler"
    assert missing_compiler(torch.device("cuda")) == ""


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_compiler(CPU)), reason="there is no C++ compiler")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("half", [False, True])
def test_compiled_losses_equal_eager_losses(half):
    model, x = satae.mlp((1, 8, 8), nn.ReLU, widths=[16, 4]), examples(8)
    found, expected = [], []
    for size, values in ((8, found), (None, expected)):
        losses = batch_losses(OBJECTIVE, Precision(half), CPU, size)(model, *x, 0.3)
        values += [*losses, *torch.autograd.grad(losses.total, list(model.parameters()))]
    torch.testing.assert_close(found, expected, **({"rtol": 0.05, "atol": 1e-3} if half else {}))
