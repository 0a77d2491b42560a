"""Common corruptions of images that need no files: blur, brightness, contrast, and changes of place and shape.

The kinds are those of CIFAR-10-C (Hendrycks & Dietterich 2019, arXiv 1903.12261) and MNIST-C (Mu & Gilmer 2019, arXiv
1906.02337). Blur, brightness and contrast have the strengths of the first, lengths and angles those of the second, with
lengths as shares of the image. Left out are noise, which the part ``denoising`` measures itself, and kinds that need
picture files or more libraries, such as frost, fog and JPEG.

Each function takes images (N, C, H, W) in [0, 1], the severity from 1 to 5, and two directions for each image, -1 or 1:
(N, 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Generator, Tensor
from torch.nn import functional

SEVERITIES: Final = (1, 2, 3, 4, 5)
BLURS: Final = (0.4, 0.6, 0.7, 0.8, 1.0)  # deviations in pixels, of images of up to 32x32
BLUR_SIDE: Final = 32
BRIGHTER: Final = (0.05, 0.1, 0.15, 0.2, 0.3)  # share of the range
CONTRASTS: Final = (0.75, 0.5, 0.4, 0.3, 0.15)
ANGLE: Final = 0.2  # radians for each severity
SHEAR: Final = 0.2  # pixels sideways for each pixel downwards and each severity
SHRINKAGE: Final = 0.1  # of each side for each severity
SHIFT: Final = 1 / 28  # of each side for each severity


def blur(x: Tensor, severity: int, signs: Tensor) -> Tensor:
    """Gaussian blur; images larger than 32x32 are blurred more, in proportion to their smaller side."""
    from skimage.filters import gaussian

    sigma = BLURS[severity - 1] * max(1.0, min(x.shape[2:]) / BLUR_SIDE)
    return torch.from_numpy(gaussian(x.cpu().numpy(), (0, 0, sigma, sigma))).to(x)


def brightness(x: Tensor, severity: int, signs: Tensor) -> Tensor:
    """The largest channel (the value of HSV) raised by a constant, hue and saturation kept."""
    value = x.amax(dim=1, keepdim=True)
    brighter = (value + BRIGHTER[severity - 1]).clamp(max=1)
    return torch.where(value > 0, x * brighter / value, brighter)


def contrast(x: Tensor, severity: int, signs: Tensor) -> Tensor:
    """Differences from the mean of each channel, made smaller."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    return mean + CONTRASTS[severity - 1] * (x - mean)


def rotate(x: Tensor, severity: int, signs: Tensor) -> Tensor:
    """A rotation about the center, in either direction."""
    angle, theta = ANGLE * severity * signs[:, 0], _no_change(x)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = -angle.sin(), angle.sin()
    return _resample(x, theta)


def shear(x: Tensor, severity: int, signs: Tensor) -> Tensor:
    """A horizontal shear that keeps the center, in either direction."""
    theta = _no_change(x)
    theta[:, 0, 1] = SHEAR * severity * signs[:, 0]
    return _resample(x, theta)


def scale(x: Tensor, severity: int, signs: Tensor) -> Tensor:
    """A smaller image in the center."""
    return _resample(x, _no_change(x) / (1 - SHRINKAGE * severity))


def translate(x: Tensor, severity: int, signs: Tensor) -> Tensor:
    """A shift along both sides, each in either direction."""
    theta = _no_change(x)
    theta[:, :, 2] = 2 * SHIFT * severity * signs  # coordinates go from -1 to 1
    return _resample(x, theta)


def _no_change(x: Tensor) -> Tensor:
    return torch.eye(2, 3).to(x).repeat(len(x), 1, 1)


def _resample(x: Tensor, theta: Tensor) -> Tensor:
    """Images at other places, bilinear; beyond an edge is the nearest pixel.

    Args:
        x: images (N, C, H, W).
        theta: from places in the result to places in ``x``, (N, 2, 3); shifts in half sides, all else in pixels.
    """
    height, width = x.shape[2:]
    theta[:, 0, 1] *= height / width
    theta[:, 1, 0] *= width / height
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


CORRUPTIONS: Final[Mapping[str, Callable[[Tensor, int, Tensor], Tensor]]] = {
    "blur": blur,
    "brightness": brightness,
    "contrast": contrast,
    "translate": translate,
    "rotate": rotate,
    "scale": scale,
    "shear": shear,
}


def corrupt(kind: str, x: Tensor, severity: int, span: tuple[float, float], generator: Generator) -> Tensor:
    """Corrupt images; the result stays in the range of the data.

    Args:
        kind: one of ``CORRUPTIONS``.
        x: images (N, C, H, W) in the data's units, grey or in color; they are not changed.
        severity: 1 to 5.
        span: the smallest and the largest value of the data.
        generator: draws two directions for each image, on the device of ``x``.
    """
    low, high = span
    signs = 2.0 * torch.randint(2, (len(x), 2), generator=generator, device=x.device) - 1
    return CORRUPTIONS[kind]((x - low) / (high - low), severity, signs).clamp(0, 1) * (high - low) + low
