"""The regularizer on any module: what it sees, what it adds up, and that it leaves nothing behind."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import satae


class Nested(nn.Module):
    """One activation used twice, one inside a child, one that acts in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.act = nn.Tanh()
        self.block = nn.Sequential(nn.Linear(6, 4), nn.ReLU(inplace=True))
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.block(self.act(self.first(self.act(self.first(x))))))


class Reused(nn.Module):
    """An activation under two names."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.same = self.act
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        return self.same(self.linear(self.act(self.linear(x))))


class ByKeyword(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(input=x)


class Fragile(nn.Module):
    """Fails after its activation when told to."""

    def __init__(self):
        super().__init__()
        self.linear, self.act = nn.Linear(6, 6), nn.ReLU()

    def forward(self, x, fail=False):
        h = self.act(self.linear(x))
        if fail:
            raise KeyError("on purpose")
        return h


def relu_part(z):
    return z.clamp(min=0)


def two_levels(f_z):
    return torch.minimum((f_z + 1).abs(), (f_z - 1).abs())


def reduced(f_c, reduction):
    return f_c.mean() if reduction == "mean" else f_c.flatten(1).sum(dim=1).mean()


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def x(count=5):
    return torch.randn(count, 6)


# The sum, by hand


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_linear_layers(reduction):
    net, inputs = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3), nn.Hardtanh(), nn.Linear(3, 2)), x()
    z1 = functional.linear(inputs, net[0].weight, net[0].bias)
    z2 = functional.linear(relu_part(z1), net[2].weight, net[2].bias)
    f_c = {"1": relu_part(z1), "3": (1 - z2.abs()).clamp(min=0)}
    with satae.saturating(net, reduction=reduction) as saturation:
        net(inputs)
        assert list(saturation.by_layer()) == ["1", "3"]
        for name, value in saturation.by_layer().items():
            torch.testing.assert_close(value, reduced(f_c[name], reduction))
        torch.testing.assert_close(saturation.total(), sum(reduced(value, reduction) for value in f_c.values()))
        torch.testing.assert_close(saturation.pre_activations(), {"1": z1, "3": z2})


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_convolution(reduction):
    net, images = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2), nn.ReLU()), torch.randn(4, 2, 9, 9)
    z = functional.conv2d(images, net[0].weight, net[0].bias, stride=2)
    with satae.saturating(net, reduction=reduction) as saturation:
        net(images)
        torch.testing.assert_close(saturation.total(), reduced(relu_part(z), reduction))
        torch.testing.assert_close(saturation.saturated_fraction(), (z <= 0).float().mean())


@pytest.mark.parametrize("train", [True, False])
def test_batch_normalized_layers_are_seen_after_the_normalization(train):
    net, inputs = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU()), x(9)
    with torch.no_grad():
        net[1].running_mean.fill_(0.3)
        net[1].running_var.fill_(2.0)
    net.train(train)
    h = net[0](inputs)
    mean, var = (h.mean(0), h.var(0, correction=0)) if train else (torch.tensor(0.3), torch.tensor(2.0))
    with satae.saturating(net) as saturation:
        net(inputs)
        torch.testing.assert_close(saturation.total(), relu_part((h - mean) / (var + 1e-5).sqrt()).mean())
    assert net.training is train


@pytest.mark.parametrize("act", [nn.ReLU, nn.Hardtanh, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU])
def test_inplace_activations(act):
    plain, inplace = nn.Sequential(nn.Linear(6, 4), act()), nn.Sequential(nn.Linear(6, 4), act(inplace=True))
    inplace.load_state_dict(plain.state_dict())
    inputs, results = x(), []
    for net in (plain, inplace):
        with satae.saturating(net) as saturation:
            output = net(inputs)
            (output.square().mean() + saturation.total()).backward()
        results.append((output, saturation.total(), saturation.saturated_fraction(), net[0].weight.grad))
    torch.testing.assert_close(results[1], results[0])
    assert results[0][1] > 0


def test_an_activation_used_twice_counts_twice():
    net, inputs = Nested(), x()
    z1 = net.first(inputs)
    z2 = net.first(torch.tanh(z1))
    z3 = net.block[0](torch.tanh(z2))
    with satae.saturating(net) as saturation:
        net(inputs)
        assert list(saturation.by_layer()) == ["act", "act#2", "block.1"]
        expected = [two_levels(torch.tanh(z1)).mean(), two_levels(torch.tanh(z2)).mean(), relu_part(z3).mean()]
        torch.testing.assert_close(list(saturation.by_layer().values()), expected)
        torch.testing.assert_close(saturation.total(), sum(expected))


def test_an_activation_under_two_names_counts_each_use_once():
    net, inputs = Reused(), x()
    z1 = net.linear(inputs)
    expected = relu_part(z1).mean() + relu_part(net.linear(relu_part(z1))).mean()
    with satae.saturating(net) as saturation:
        net(inputs)
        torch.testing.assert_close(saturation.total(), expected)


def test_an_activation_itself():
    act, z = nn.ReLU(), torch.tensor([[-1.0, 2.0], [0.0, 3.0]])
    with satae.saturating(act) as saturation:
        act(z)
        assert saturation.total().item() == 1.25
        assert saturation.saturated_fraction().item() == 0.5


def test_an_activation_called_by_keyword():
    net, z = ByKeyword(), torch.tensor([[-1.0, 2.0]])
    with satae.saturating(net) as saturation:
        net(z)
        assert saturation.total().item() == 1.0


def test_any_name_that_torch_allows():
    net = nn.Sequential()
    net.add_module("act#1", nn.ReLU())
    with satae.saturating(net) as saturation:
        net(torch.tensor([[-1.0, 2.0]]))
        assert saturation.total().item() == 1.0


def test_a_recurrent_call_sees_every_step():
    cell = nn.Sequential(nn.Linear(6, 6), nn.Hardtanh())

    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell

        def forward(self, h):
            for _ in range(3):
                h = self.cell(h)
            return h

    inputs, expected = x(), 0.0
    h = inputs
    for _ in range(3):
        z = cell[0](h)
        expected = expected + (1 - z.abs()).clamp(min=0).mean()
        h = z.clamp(-1, 1)
    net = Unrolled()
    with satae.saturating(net) as saturation:
        net(inputs)
        net(inputs)  # counts afresh
        assert list(saturation.by_layer()) == ["cell.1", "cell.1#2", "cell.1#3"]
        torch.testing.assert_close(saturation.total(), expected)


def test_reading_and_eps_are_passed_on():
    net, inputs = nn.Sequential(nn.Linear(6, 4), nn.Sigmoid()), x()
    z = net[0](inputs)
    with satae.saturating(net, "slope") as by_slope, satae.saturating(net, "input", 0.2) as by_input:
        net(inputs)
        torch.testing.assert_close(by_slope.total(), (torch.sigmoid(z) * (1 - torch.sigmoid(z))).mean())
        border = 0.9624236501192069  # ln((1 - sqrt(1 - 4 eps)) / (1 + sqrt(1 - 4 eps))) at eps = .2
        torch.testing.assert_close(by_input.total(), (border - z.abs()).clamp(min=0).mean())
        torch.testing.assert_close(by_input.saturated_fraction(), (z.abs() >= border).float().mean())


def test_saturated_fraction_weighs_every_unit_alike():
    net, inputs = nn.Sequential(nn.Linear(6, 50), nn.ReLU(), nn.Linear(50, 2), nn.ReLU()), x(11)
    z1 = net[0](inputs)
    z2 = net[2](relu_part(z1))
    with torch.no_grad():
        net[2].bias.sub_(100.0)  # saturates the small layer alone
    flat = [(z1 <= 0).sum().item(), z2.numel()]
    with satae.saturating(net) as saturation:
        net(inputs)
        assert saturation.saturated_fraction().item() == pytest.approx(sum(flat) / (z1.numel() + z2.numel()))
        by_layer = saturation.saturated_fraction_by_layer()
        assert {name: value.item() for name, value in by_layer.items()} == pytest.approx(
            {"1": flat[0] / z1.numel(), "3": 1.0}
        )


def test_placeholders_and_the_like_are_not_activations():
    net = nn.Sequential(nn.Identity(), nn.Dropout(0.0), nn.Linear(6, 4), nn.ReLU(), nn.Flatten())
    with satae.saturating(net) as saturation:
        net(x())
        assert list(saturation.by_layer()) == ["3"]


# Gradients and modes


def test_the_gradient_reaches_the_weights_before_the_activation_and_no_others():
    net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2))
    with satae.saturating(net) as saturation:
        net(x())
        saturation.total().backward()
    assert net[0].weight.grad.abs().min() > 0
    assert net[2].weight.grad is None


def test_the_last_pass_can_be_read_repeatedly_and_after_detaching():
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    with satae.saturating(net) as saturation:
        net(x())
        inside = saturation.total()
    assert torch.equal(saturation.total(), inside)
    saturation.total().backward()
    assert net[0].weight.grad.abs().max() > 0


def test_the_output_is_that_of_the_bare_module():
    net, inputs = Nested(), x()
    bare = net(inputs)
    with satae.saturating(net):
        assert torch.equal(net(inputs), bare)


def test_without_gradients_the_numbers_are_the_same():
    net, inputs = Nested(), x()
    with satae.saturating(net) as saturation:
        net(inputs)
        with_gradients = saturation.total()
        with torch.no_grad():
            net(inputs)
            assert not saturation.total().requires_grad
            assert torch.equal(saturation.total(), with_gradients)


def test_each_forward_pass_replaces_the_last():
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    first, second = x(), 3 * x()
    with satae.saturating(net) as saturation:
        net(first)
        net(second)
        torch.testing.assert_close(saturation.total(), relu_part(net[0](second)).mean())


def test_autocast_to_bfloat16():
    net, inputs = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 32), nn.ReLU()), x(64)
    with satae.saturating(net) as saturation:
        net(inputs)
        exact = saturation.total()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = net(inputs)
            penalty = saturation.total()
        assert output.dtype == torch.bfloat16
        assert {z.dtype for z in saturation.pre_activations().values()} == {torch.bfloat16}
        assert penalty.dtype == torch.float32
        torch.testing.assert_close(penalty, exact, rtol=0.02, atol=0)
        penalty.backward()
    assert net[0].weight.grad.dtype == torch.float32
    assert net[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_module_gives_the_same_penalty(backend):
    torch._dynamo.reset()
    net, inputs = Nested(), x()
    plain = copy.deepcopy(net)
    with satae.saturating(plain) as expected:
        (plain(inputs).sum() + expected.total()).backward()
    fast = torch.compile(net, backend=backend)
    with satae.saturating(fast) as saturation:
        (fast(inputs).sum() + saturation.total()).backward()
        assert len(saturation.by_layer()) == 3
        torch.testing.assert_close(saturation.total(), expected.total())
    for found, wanted in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad)
    before = saturation.total()
    fast(2 * inputs)
    assert torch.equal(saturation.total(), before)
    assert hooks(fast) == 0
    torch._dynamo.reset()


# Attaching and detaching


@pytest.mark.parametrize("make", [Nested, Reused, nn.ReLU, lambda: satae.mlp((6,), nn.Tanh, widths=[4])])
def test_no_hooks_are_left(make):
    net = make()
    with satae.saturating(net):
        assert hooks(net) > 0
    assert hooks(net) == 0


def test_hooks_of_others_are_left_alone():
    net, fired = nn.Sequential(nn.Linear(6, 4), nn.ReLU()), []
    net[1].register_forward_pre_hook(lambda *_: fired.append(1))
    with satae.saturating(net):
        pass
    net(x())
    assert (hooks(net), fired) == (1, [1])


def test_no_hooks_are_left_after_an_exception():
    net = Nested()

    with pytest.raises(KeyError), satae.saturating(net):
        raise KeyError("on purpose")
    assert hooks(net) == 0


def test_a_pass_after_one_that_failed_stands_alone():
    net, inputs = Fragile(), x()
    with satae.saturating(net) as saturation:
        net(inputs)
        with pytest.raises(KeyError):
            net(inputs, fail=True)
        for question in (saturation.total, saturation.pre_activations, saturation.saturated_fraction):
            with pytest.raises(
                RuntimeError, match=r"the last forward pass ended with an error, .* call the module again"
            ):
                question()
        net.act(inputs)  # the pass that failed is over
        net(inputs)
        assert list(saturation.by_layer()) == ["act"]
        torch.testing.assert_close(saturation.total(), relu_part(net.linear(inputs)).mean())
    assert hooks(net) == 0


class Recursive(nn.Module):
    """Calls itself between its two layers, a number of times."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Tanh(), nn.Sigmoid()

    def forward(self, x, times=0):
        h = self.first(x)
        return self.second(self(h, times - 1) if times else h)


@pytest.mark.parametrize("times", [1, 2])
def test_a_module_that_calls_itself_counts_every_call(times):
    net, inputs, penalty = Recursive(), x(), 0
    h = inputs
    for _ in range(times + 1):
        penalty, h = penalty + satae.complement(net.first, h).mean(), net.first(h)
    for _ in range(times + 1):
        penalty, h = penalty + satae.complement(net.second, h).mean(), net.second(h)
    with satae.saturating(net) as saturation:
        for _ in range(2):
            net(inputs, times)
            assert len(saturation.by_layer()) == 2 * (times + 1)
            torch.testing.assert_close(saturation.total(), penalty)


def interrupted(z):
    raise KeyboardInterrupt


def test_a_pass_after_an_interrupted_one_stands_alone():
    net, inputs = Recursive(), x()
    with satae.saturating(net) as saturation:
        net.second.forward = interrupted
        with pytest.raises(KeyboardInterrupt):
            net(inputs, 1)
        del net.second.forward
        with pytest.raises(RuntimeError, match="ended with an error"):
            saturation.total()
        net(inputs)
        assert list(saturation.by_layer()) == ["first", "second"]


def test_nothing_is_recorded_after_detaching():
    net, inputs = nn.Sequential(nn.Linear(6, 4), nn.ReLU()), x()
    with satae.saturating(net) as saturation:
        net(inputs)
    before = saturation.total()
    net(5 * inputs)
    assert torch.equal(saturation.total(), before)


def test_calls_of_a_part_from_outside_are_not_counted():
    net, inputs = nn.Sequential(nn.Linear(6, 6), nn.ReLU()), x()
    with satae.saturating(net) as saturation:
        net[1](inputs)
        with pytest.raises(RuntimeError, match="no forward pass yet"):
            saturation.total()
        net(inputs)
        net[1](100 * inputs)
        assert list(saturation.by_layer()) == ["1"]
        torch.testing.assert_close(saturation.total(), relu_part(net[0](inputs)).mean())


@pytest.mark.parametrize(
    "question", ["total", "by_layer", "pre_activations", "saturated_fraction", "saturated_fraction_by_layer"]
)
def test_asking_before_a_forward_pass_is_an_error(question):
    with (
        satae.saturating(nn.ReLU()) as saturation,
        pytest.raises(RuntimeError, match="no forward pass yet: call the module"),
    ):
        getattr(saturation, question)()


@pytest.mark.parametrize("net", [nn.Linear(6, 4), nn.Sequential(nn.Linear(6, 4), nn.Dropout()), nn.Identity()])
def test_nothing_to_attach_to_is_an_error(net):
    with pytest.raises(ValueError, match=r"no activation module to saturate.*nn.ReLU"), satae.saturating(net):
        pass


def test_an_activation_without_a_flat_set_is_an_error_that_names_it_and_the_remedy():
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.LeakyReLU())
    with pytest.raises(ValueError, match=r"2: LeakyReLU has no flat region.*layers="), satae.saturating(net):
        pass
    assert hooks(net) == 0
    with satae.saturating(net, layers=["1"]) as saturation:
        net(x())
        assert list(saturation.by_layer()) == ["1"]


def test_layers_selects_the_activations_to_watch():
    net, inputs = Nested(), x()
    with satae.saturating(net) as everything, satae.saturating(net, layers=["block.1"]) as one:
        net(inputs)
        assert list(one.by_layer()) == ["block.1"]
        assert torch.equal(one.total(), everything.by_layer()["block.1"])


@pytest.mark.parametrize("names", [["block.0"], ["nowhere"], ["act", "nowhere"]])
def test_an_unknown_layer_is_refused_with_the_known_ones(names):
    with pytest.raises(ValueError, match=r"choose from act, block.1"), satae.saturating(Nested(), layers=names):
        pass


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="choose one of output, input, slope"), satae.saturating(nn.ReLU(), "both"):
        pass


def test_an_unknown_reduction_is_refused():
    def penalty(act):
        with satae.saturating(act, reduction="max") as saturation:
            act(x())
            return saturation.total()

    with pytest.raises(ValueError, match="reduction"):
        penalty(nn.ReLU())
