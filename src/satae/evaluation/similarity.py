"""Structural similarity of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor
from torch.nn.functional import avg_pool2d

LEAST: Final = 7  # side of the smallest images that are compared
SMALL: Final = 16  # side below which the usual window would see most of an image at once
USUAL_WINDOW, SMALL_WINDOW = 7, 3
K1, K2 = 0.01, 0.03  # of Wang et al.


def window_of(shape: Sequence[int]) -> int | None:
    """The side of the window for inputs of a shape (C, H, W); None where they are no images, or too small.

    7 is usual (:func:`skimage.metrics.structural_similarity`); of an 8x8 image it would leave four places that share
    most of their pixels, so images below 16x16 get 3.
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < LEAST:
        return None
    return USUAL_WINDOW if min(shape[1:]) >= SMALL else SMALL_WINDOW


def ssim(x: Tensor, y: Tensor, width: float, window: int) -> Tensor:
    """The structural similarity index of each pair of images, 1 for equal ones.

        SSIM = (2 m_x m_y + c1)(2 v_xy + c2) / ((m_x^2 + m_y^2 + c1)(v_x + v_y + c2)),   c_i = (K_i width)^2

    with means m, variances and covariance v (divided by n - 1) in each window that lies within the image, averaged
    over windows and channels. Wang, Bovik, Sheikh and Simoncelli (2004), IEEE Trans. Image Processing 13(4), 600-612;
    with even weights in the window, as scikit-image has it by default.

    Args:
        x: (N, C, H, W).
        y: the same.
        width: of the range of the data.
        window: its side, odd.

    Returns:
        (N,), in float64.
    """
    x, y = x.cpu().double(), y.cpu().double()  # not every GPU has float64
    m_x, m_y, m_xx, m_yy, m_xy = (avg_pool2d(image, window, stride=1) for image in (x, y, x * x, y * y, x * y))
    unbiased = window**2 / (window**2 - 1)
    v_x, v_y, v_xy = (unbiased * v for v in (m_xx - m_x * m_x, m_yy - m_y * m_y, m_xy - m_x * m_y))
    c1, c2 = (K1 * width) ** 2, (K2 * width) ** 2
    index = (2 * m_x * m_y + c1) * (2 * v_xy + c2) / ((m_x**2 + m_y**2 + c1) * (v_x + v_y + c2))
    return index.flatten(1).mean(dim=1)
