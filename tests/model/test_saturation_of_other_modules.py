"""The regularizer on modules as people write, copy, compile and call them: nothing is left out without a word."""

import copy
import functools
import io
import pickle
import warnings

import pytest
import torch
import torch.fx
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

import satae


def two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.ReLU())


def hooks(module):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def x(*shape):
    return torch.randn(shape or (7, 6), generator=torch.Generator().manual_seed(1))


class Own(nn.Module):
    def forward(self, z):
        return z.clamp(0, 2)


class WithFunction(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(6, 6), function

    def forward(self, z):
        return self.function(self.layer(z))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, z):
        return z * torch.sigmoid(self.beta * z)


# Copies and files


def by_pickle(net):
    return pickle.loads(pickle.dumps(net))


def by_file(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("make", [copy.deepcopy, by_pickle, by_file, lambda net: AveragedModel(net).module])
def test_a_copy_made_inside_the_context_is_not_watched(make):
    net, inputs = two_layers(), x()
    with satae.saturating(net) as outer, satae.saturating(net, "input") as saturation:
        net(inputs)
        before = outer.total(), saturation.total()
        twin = make(net)
        assert hooks(twin) == 0
        assert "__reduce_ex__" not in vars(twin)
        twin(5 * inputs)
        assert (outer.total(), saturation.total()) == before
    assert torch.equal(twin(inputs), net(inputs))
    assert hooks(net) == 0
    assert not any("__reduce_ex__" in vars(part) for part in net.modules())


def traced(net):
    return torch.fx.symbolic_trace(net)


def parametrized(norm):
    def make(net):
        norm(net[0])
        return net

    return make


OWN_COPIES = {
    "weight_norm": parametrized(parametrizations.weight_norm),
    "spectral_norm": parametrized(parametrizations.spectral_norm),
    "orthogonal": parametrized(parametrizations.orthogonal),
    "traced": traced,
}


@pytest.mark.parametrize("make", OWN_COPIES.values(), ids=OWN_COPIES)
@pytest.mark.parametrize("trained", [False, True])
def test_a_copy_by_a_method_of_the_module_is_not_watched(make, trained):
    net, inputs = make(two_layers()).eval(), x()
    with satae.saturating(net) as outer, satae.saturating(net, "input") as saturation:
        net(inputs)
        if trained:
            (outer.total() + saturation.total()).backward()
        before = outer.total(), saturation.total()
        twin = copy.deepcopy(copy.deepcopy(net))
        assert hooks(twin) == 0
        assert not any({"__reduce_ex__", "__deepcopy__"} & {*vars(part)} for part in twin.modules())
        twin(5 * inputs)
        assert (outer.total(), saturation.total()) == before
        net(5 * inputs)
        assert outer.total() != before[0]  # still watched
    assert torch.equal(twin(inputs), net(inputs))
    assert hooks(net) == 0
    assert not any({"__reduce_ex__", "__deepcopy__"} & {*vars(part)} for part in net.modules())


def test_a_layer_copied_into_the_module_is_an_error_not_a_second_count():
    net, inputs = nn.Sequential(nn.Linear(6, 6), nn.ReLU()), x()
    with satae.saturating(net) as saturation:
        net(inputs)
        net.append(copy.deepcopy(net[1]))
        net(inputs)
        with pytest.raises(RuntimeError, match="2: joined the module after the context had begun"):
            saturation.total()
    with satae.saturating(net, layers=["1"]) as saturation:
        net.append(copy.deepcopy(net[1]))
        net(inputs)
        assert list(saturation.by_layer()) == ["1"]


# Compiled parts


def test_a_part_compiled_before_is_an_error_with_a_remedy():
    inputs = x()
    part = torch.compile(nn.Sequential(nn.Linear(6, 5), nn.Tanh()), backend="eager")
    part(inputs)
    net = nn.Sequential(part, nn.ReLU())
    with satae.saturating(net) as saturation:
        net(inputs)
        with pytest.raises(
            RuntimeError, match=r"0\._orig_mod\.1: not seen, since torch.compile .* torch.compiler.reset"
        ):
            saturation.total()
        torch.compiler.reset()
        net(inputs)
        assert list(saturation.by_layer()) == ["0._orig_mod.1", "1"]
    torch.compiler.reset()


def test_a_module_compiled_before_is_an_error_with_a_remedy():
    fast, inputs = torch.compile(two_layers(), backend="eager"), x()
    fast(inputs)
    with satae.saturating(fast) as saturation:
        fast(inputs)
        with pytest.raises(RuntimeError, match=r"_orig_mod\.1, _orig_mod\.3: not seen, since torch.compile"):
            saturation.saturated_fraction()
    torch.compiler.reset()


# Gradients


@pytest.mark.parametrize("whole", [False, True])
def test_a_checkpoint_without_gradients_is_an_error(whole):
    class Checkpointed(nn.Module):
        def __init__(self, reentrant):
            super().__init__()
            self.first, self.part, self.reentrant = nn.Linear(6, 6), two_layers(), reentrant

        def forward(self, z):
            return checkpoint(self.part, self.first(z), use_reentrant=self.reentrant)

    inputs = x().requires_grad_()
    net = two_layers() if whole else Checkpointed(reentrant=True)
    before_relu = net[:3](inputs) if whole else net.part[:3](net.first(inputs))
    saturated = (before_relu <= 0).sum() / (len(inputs) * (5 + 4))  # of 5 units of tanh, which is nowhere flat, and 4
    with satae.saturating(net) as saturation:
        checkpoint(net, inputs, use_reentrant=True) if whole else net(inputs)
        with pytest.raises(RuntimeError, match="use_reentrant=False"):
            saturation.total()
        with torch.no_grad():
            value = saturation.total()
        torch.testing.assert_close(saturation.saturated_fraction(), saturated)
        if not whole:
            net.reentrant = False
            net(inputs)
            saturation.total().backward()
            torch.testing.assert_close(saturation.total(), value)
            assert net.part[0].weight.grad.abs().max() > 0


def test_a_pass_without_gradients_is_no_checkpoint():
    net = two_layers()
    with satae.saturating(net) as saturation:
        with torch.no_grad():
            net(x())
        assert saturation.total() > 0


# Samples


def test_a_layer_without_samples_adds_nothing():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Sequential(nn.Linear(6, 4), nn.ReLU()), nn.Sequential(nn.Linear(6, 4), nn.Tanh())

        def forward(self, z):
            return torch.cat([self.used(z), self.idle(z[:0])])

    for reduction in ("mean", "sum"):
        net = Experts()
        with satae.saturating(net, reduction=reduction) as saturation:
            net(x())
            assert saturation.by_layer()["idle.1"] == 0
            assert saturation.total() == saturation.by_layer()["used.1"] > 0
            assert saturation.saturated_fraction() == saturation.saturated_fraction_by_layer()["used.1"]
            saturation.total().backward()
            assert net.used[0].weight.grad.isfinite().all()


@pytest.mark.parametrize(
    ("make", "sample"),
    [
        (two_layers, x(6)),
        (nn.ReLU, x(6)),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(-3), nn.Linear(36, 2), nn.ReLU()), x(3, 5, 5)),
        (lambda: nn.Sequential(nn.ConvTranspose1d(3, 2, 3), nn.Sigmoid()), x(3, 5)),
    ],
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_an_input_without_a_batch_dimension_is_one_sample(make, sample, reduction):
    net = make()
    with satae.saturating(net, reduction=reduction) as saturation:
        net(sample)
        alone = saturation.by_layer()
        assert all(len(z) == 1 for z in saturation.pre_activations().values())
        net(sample[None])
        for name, penalty in saturation.by_layer().items():
            torch.testing.assert_close(alone[name], penalty)


def test_one_number_a_sample_is_a_batch():
    net = nn.Sequential(nn.Linear(6, 1), nn.Flatten(0), nn.Sigmoid())
    with satae.saturating(net, reduction="sum") as saturation:
        net(x())
        squeezed = saturation.total()
        assert saturation.pre_activations()["2"].shape == (7,)
    plain = nn.Sequential(net[0], net[2])
    with satae.saturating(plain, reduction="sum") as saturation:
        plain(x())
        torch.testing.assert_close(squeezed, saturation.total())


def test_a_question_after_vmap_has_ended_is_an_error_and_inside_it_is_answered():
    net = two_layers()
    with satae.saturating(net, reduction="sum") as saturation:

        def penalty(sample):
            net(sample)
            return saturation.total()

        each = torch.vmap(penalty)(x())
        for question in (saturation.total, saturation.saturated_fraction, saturation.pre_activations):
            with pytest.raises(RuntimeError, match=r"inside torch\.func\.vmap, which has ended"):
                question()
        net(x())
        torch.testing.assert_close(each.mean(), saturation.total())


# Activations that cannot be watched

TRANSFORMER = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (nn.Hardshrink(), r"Hardshrink \(1\), unknown to satae: satae.register"),
        (nn.Threshold(0.1, 0.0), r"Threshold \(1\)"),
        (nn.Softmax(-1), r"Softmax \(1\)"),
        (nn.GLU(), r"GLU \(1\)"),
        (nn.Softmin(-1), r"Softmin \(1\)"),
        (Own(), r"Own \(1\)"),
        (Scaled(), r"Scaled \(1\)"),
        (TRANSFORMER, r"relu in TransformerEncoderLayer \(1\), called as a function"),
        (nn.GRU(6, 6), r"sigmoid and tanh in GRU \(1\)"),
        (nn.RNN(6, 6, nonlinearity="relu"), r"relu in RNN \(1\)"),
        (WithFunction(torch.relu_), r"relu in WithFunction \(1\)"),
        (WithFunction(functools.partial(functional.elu, alpha=2.0)), r"elu in WithFunction \(1\)"),
        (WithFunction(functional.glu), r"glu in WithFunction \(1\)"),
        (WithFunction(torch.special.expit), r"expit in WithFunction \(1\)"),
    ],
)
def test_an_activation_that_cannot_be_watched_is_named(other, named):
    net = nn.Sequential(nn.ReLU(), other)
    with pytest.warns(UserWarning, match=f"not in the penalty: {named}"), satae.saturating(net):
        pass
    with pytest.raises(ValueError, match=named), satae.saturating(nn.Sequential(nn.Linear(6, 6), other)):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with satae.saturating(net, layers=["0"]):
            pass


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.jit.trace(net, x())], ids=["script", "trace"])
def test_scripted_and_traced_activations_are_named(make):
    part = make(two_layers())
    named = r"Tanh \({0}1\), ReLU \({0}3\), scripted or traced: use the module before torch.jit"
    net = nn.Sequential(nn.ReLU(), part)
    with pytest.warns(UserWarning, match=f"not in the penalty: {named.format('1.')}"), satae.saturating(net):
        pass
    with pytest.raises(ValueError, match=named.format("")), satae.saturating(part):
        pass


@pytest.mark.parametrize(
    "module", [nn.Flatten(), nn.Dropout(), nn.Identity(), nn.MaxPool2d(2), nn.LayerNorm(6), nn.Unflatten(1, (2, 3))]
)
def test_a_module_that_is_no_activation_is_not_named(module):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with satae.saturating(nn.Sequential(nn.ReLU(), module)):
            pass


def test_the_models_of_satae_need_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (satae.mlp((6,), nn.Tanh, widths=[4]), satae.conv((1, 8, 8), nn.ReLU, channels=[2])):
            with satae.saturating(model):
                pass


def test_an_activation_that_a_forward_calls_as_a_function_is_explained():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, z):
            return functional.relu(self.linear(z))

    with pytest.raises(ValueError, match=r"F\.relu cannot be seen"), satae.saturating(Net()):
        pass


def test_registering_a_list_of_intervals_is_refused_at_once():
    with pytest.raises(TypeError, match=r"flat=\[\(0, 1\)\]: .* a function of \(activation, eps\)"):
        satae.register(Own, flat=[(0, 1)])


class ChangedAfterwards(nn.Module):
    """A module that changes the input of its activation in place once the activation has read it."""

    def __init__(self, change):
        super().__init__()
        self.layer, self.act, self.change = nn.Linear(4, 4), nn.Tanh(), change

    def forward(self, x):
        z = self.layer(x)
        h = self.act(z)
        return h + self.change(z, x)


@pytest.mark.parametrize(
    "change", [lambda z, x: z.add_(x), lambda z, x: torch.relu_(z), lambda z, x: z.mul_(0), lambda z, x: z[:1].fill_(3)]
)
def test_an_input_that_is_changed_in_place_after_the_activation_is_an_error(change):
    module = ChangedAfterwards(change)
    with satae.saturating(module) as saturation:
        module(x(3, 4))
        for ask in (saturation.total, saturation.saturated_fraction, saturation.pre_activations):
            with pytest.raises(RuntimeError, match="act: the input was changed in place after the activation"):
                ask()


def test_an_input_that_is_changed_in_place_before_the_activation_counts_as_changed():
    module, given = nn.Sequential(nn.Linear(4, 4), nn.Hardtanh()), x(3, 4)
    with satae.saturating(module) as saturation:
        module(given)
        expected = saturation.total()
    module[0].register_forward_hook(lambda layer, inputs, z: z.add_(1).sub_(1))
    with satae.saturating(module) as saturation:
        module(given)
        torch.testing.assert_close(saturation.total(), expected)


def test_layers_in_one_word_are_refused():
    with pytest.raises(ValueError, match=r"layers='11': must be a list of names, such as layers=\['11'\]"):
        satae.saturating(two_layers(), layers="11").__enter__()
