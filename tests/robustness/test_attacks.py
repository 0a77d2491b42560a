import pytest
import torch
from torch.nn import functional
from victims import linear, streams

from satae.robustness.attack_losses import cross_entropy, dlr, has_no_gradient, loss_gradient, margin
from satae.robustness.norm_ball import NormBall
from satae.robustness.pgd import fgsm


def logits_and_labels(count=50, classes=5, dtype=torch.float64):
    return 4 * torch.randn(count, classes, dtype=dtype), torch.randint(classes, (count,))


def gradient(objective, logits, labels):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(objective(logits, labels).sum(), logits)[0]


def test_cross_entropy_equals_the_logarithm_of_torchs_loss():
    logits, labels = logits_and_labels()
    torch.testing.assert_close(
        cross_entropy(logits, labels).exp(), functional.cross_entropy(logits, labels, reduction="none")
    )


def test_cross_entropy_gradient_has_the_direction_of_torchs_loss():
    logits, labels = logits_and_labels()
    ours = gradient(cross_entropy, logits, labels)
    theirs = gradient(lambda z, y: functional.cross_entropy(z, y, reduction="none"), logits, labels)
    torch.testing.assert_close(functional.normalize(ours), functional.normalize(theirs))


@pytest.mark.parametrize("gap", [17.0, 120.0, 1e4, -1e4])
def test_cross_entropy_keeps_its_gradient_in_float32(gap):
    found = gradient(cross_entropy, torch.tensor([[gap, 0.0, -1.0]]), torch.tensor([0]))
    assert found.isfinite().all()
    if gap > 0:
        assert found[0, 0] < -0.9
        theirs = gradient(functional.cross_entropy, torch.tensor([[gap, 0.0, -1.0]]), torch.tensor([0]))
        assert theirs[0, 0].abs() < 1e-6


def test_cross_entropy_is_smooth_where_its_two_formulas_meet():
    gaps = torch.linspace(-14, -10, 401)
    value = cross_entropy(torch.stack([torch.zeros(401), gaps], dim=1), torch.zeros(401, dtype=torch.long))
    torch.testing.assert_close(value, gaps.double().exp().log1p().log().float(), rtol=0, atol=1e-5)


def test_margin_is_positive_if_the_prediction_is_wrong():
    logits, labels = logits_and_labels()
    assert torch.equal(margin(logits, labels) > 0, logits.argmax(dim=1) != labels)
    assert torch.equal(margin(torch.tensor([[5.0, 3.0, 4.0]]), torch.tensor([0])), torch.tensor([-1.0]))


def test_dlr_does_not_change_with_the_scale_of_the_logits():
    logits, labels = logits_and_labels()
    torch.testing.assert_close(dlr(logits, labels), dlr(1e3 * logits + 7, labels))
    assert dlr(torch.tensor([[5.0, 3.0, 1.0]]), torch.tensor([0])) == -0.5


def test_dlr_with_two_classes_is_refused():
    with pytest.raises(ValueError, match="there are 2; use the margin"):
        dlr(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long))


def test_loss_gradient_is_taken_with_respect_to_the_input():
    found = loss_gradient(linear([3.0, -1.0]), torch.zeros(2, 2), torch.tensor([0, 1]), margin)
    assert torch.equal(found.gradient, torch.tensor([[-6.0, 2.0], [6.0, -2.0]]))


def test_inputs_with_a_zero_gradient_are_found():
    def cliff(x):
        return torch.stack([x.clamp_min(0)[:, 0], 0 * x[:, 0]], dim=1)

    x = torch.tensor([[-1.0], [1.0]])
    assert has_no_gradient(cliff, x, torch.zeros(2, dtype=torch.long)).tolist() == [True, False]


def test_an_example_with_nan_logits_counts_as_fooled():
    x, labels = torch.rand(4, 6), torch.zeros(4, dtype=torch.long)
    attempt = fgsm(
        lambda at: torch.full((len(at), 3), torch.nan) * at.sum(), x, labels, NormBall("linf", 0.1), streams(4)
    )
    assert attempt.fooled.all()


def test_a_nan_gradient_counts_as_no_gradient():
    def broken(x):
        return x + (x[:, :1] - 1).abs().sqrt()  # whose derivative at 1 is 0 times infinity

    x = torch.tensor([[-1.0, -2.0, -3.0], [1.0, -2.0, -3.0]])
    assert has_no_gradient(broken, x, torch.zeros(2, dtype=torch.long)).tolist() == [False, True]
