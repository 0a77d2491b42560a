"""Positive controls for masking: contexts that hide the gradient of a module."""

from contextlib import contextmanager

from satae.robustness.bpda import derivative, replaced_activations, with_backward


@contextmanager
def steepen_activations(module, factor):
    """f(z) becomes f(s z): a saturating network decides nearly as before, but its gradients vanish."""
    with replaced_activations(module, lambda act, f: lambda z: f(factor * z)):
        yield


@contextmanager
def fade_gradients(module, factor):
    """f(z) stays the same, bit for bit, and so does the robustness; backward passes use f'(s z), which vanishes."""
    with replaced_activations(module, lambda act, f: with_backward(f, lambda z, g: derivative(f, factor * z, g))):
        yield
