"""Structural similarity is that of scikit-image."""

import pytest
import torch
from skimage.metrics import structural_similarity

from satae.evaluation.similarity import ssim, window_of


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 20), (1, 28, 28), (3, 7, 7)])
@pytest.mark.parametrize("width", [1.0, 255.0])
def test_it_is_that_of_scikit_image(shape, width):
    x = torch.rand(6, *shape, dtype=torch.float64) * width
    y = (x + 0.3 * width * torch.randn_like(x)).clamp(0, width)
    y[0] = x[0]
    y[1] = width / 2
    window = window_of(shape)
    theirs = [
        structural_similarity(a.numpy(), b.numpy(), win_size=window, data_range=width, channel_axis=0)
        for a, b in zip(x, y, strict=True)
    ]
    ours = ssim(x, y, width, window)
    assert (ours - torch.tensor(theirs)).abs().max() < 1e-6
    assert ours[0] == pytest.approx(1)
    assert ours[1:].max() < 0.9


@pytest.mark.parametrize(
    ("shape", "window"),
    [((1, 8, 8), 3), ((1, 28, 28), 7), ((3, 16, 32), 7), ((1, 6, 28), None), ((2,), None), ((4, 9, 9), None)],
)
def test_the_window_fits_the_images(shape, window):
    assert window_of(shape) == window
