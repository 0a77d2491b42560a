"""Structural similarity is what Wang et al. wrote down."""

import pytest
import torch
from torch.nn.functional import unfold

from satae.evaluation.parts.denoising import ssim, ssim_window


def by_hand(x, y, width, window):
    """(2 m_x m_y + c1)(2 v_xy + c2) / ((m_x^2 + m_y^2 + c1)(v_x + v_y + c2)) of every window, averaged."""
    a, b = (unfold(image[:, None], window) for image in (x, y))  # (C, window^2, places)
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    v_xy = ((a - a.mean(1, keepdim=True)) * (b - b.mean(1, keepdim=True))).sum(1) / (window**2 - 1)
    found = (2 * a.mean(1) * b.mean(1) + c1) * (2 * v_xy + c2)
    return (found / ((a.mean(1) ** 2 + b.mean(1) ** 2 + c1) * (a.var(1) + b.var(1) + c2))).mean()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 20), (1, 28, 28), (3, 7, 7)])
@pytest.mark.parametrize("width", [1.0, 255.0])
def test_similarity_is_the_mean_over_windows_and_channels(shape, width):
    x = torch.rand(6, *shape, dtype=torch.float64) * width
    y = (x + 0.3 * width * torch.randn_like(x)).clamp(0, width)
    y[0] = x[0]
    y[1] = width / 2
    window = ssim_window(shape)
    found = ssim(x, y, width, window)
    expected = torch.stack([by_hand(*pair, width, window) for pair in zip(x, y, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert found[0] == pytest.approx(1)
    assert found[1:].max() < 0.9


@pytest.mark.parametrize(
    ("shape", "window"),
    [((1, 8, 8), 3), ((1, 28, 28), 7), ((3, 16, 32), 7), ((1, 6, 28), None), ((2,), None), ((4, 9, 9), None)],
)
def test_the_window_fits_the_images(shape, window):
    assert ssim_window(shape) == window
