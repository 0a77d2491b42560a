"""Pictures of a model: what it reconstructs, its filters, its energy over the plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder
from satae.plots.style import Picture
from satae.training.energy import LOW, energy_map

Pixels = np.ndarray  # (height, width, 3), uint8


TILE = 56  # pixels at least for one image, enlarged by whole factors without smoothing
GAP = 3
TEXT = 20  # height of a line of text
COLUMNS = 8
MOST_FILTERS = 64
MOST_ARROWS = 16
PAPER, INK = 255, 40


@torch.no_grad()
def draw(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, span: tuple[float, float]) -> dict[str, Picture]:
    """All the pictures that a model on its data gives, by name.

    Args:
        model: in evaluation mode.
        x: examples (N, *shape) in the data's units.
        x_noisy: the same, corrupted.
        span: the smallest and the largest value of the data.
    """
    shape = x.shape[1:]
    pictures = {}
    if is_image(shape):
        pictures["reconstructions"] = reconstructions(x, x_noisy, model(x_noisy), span)
    if (weights := encoder_filters(model, shape)) is not None:
        pictures["encoder_filters"] = filters(weights, "first encoder layer")
    if (weights := decoder_atoms(model, shape)) is not None:
        pictures["decoder_atoms"] = filters(weights, "last decoder layer")
    if shape == (2,):
        pictures["energy"] = energy(model, x, span)
    return {name: Picture.encode(pixels) for name, pixels in pictures.items()}


def save(pictures: Mapping[str, Picture], directory: Path) -> None:
    """Write each picture as ``<name>.png``."""
    if pictures:
        directory.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        (directory / f"{name}.png").write_bytes(picture.png)


def is_image(shape: Sequence[int]) -> bool:
    """Whether inputs of this shape can be shown: grey or colour images."""
    return len(shape) == 3 and shape[0] in (1, 3)


def reconstructions(x: Tensor, x_noisy: Tensor, x_hat: Tensor, span: tuple[float, float]) -> Pixels:
    """Clean inputs, what the model saw of them, and its reconstructions: a labelled row of each.

    Args:
        x: (N, C, H, W) in the data's units; the first ``COLUMNS`` are shown.
        x_noisy: the same, corrupted.
        x_hat: the same, reconstructed.
        span: shown as black and white.
    """
    return sheet({"clean  x": x, "noisy": x_noisy, "x_hat": x_hat}, span)


def sheet(rows: Mapping[str, Tensor], span: tuple[float, float]) -> Pixels:
    """Images in labelled rows: (N, C, H, W) in the data's units by label, of which the first ``COLUMNS`` are shown."""
    low, high = span
    grids = [_grid((images[:COLUMNS] - low) / (high - low)) for images in rows.values()]
    return np.concatenate([_captioned(grid, name) for grid, name in zip(grids, rows, strict=True)])


def filters(weights: Tensor, caption: str) -> Pixels:
    """Weights as small images, each scaled by its own largest: grey is zero, white positive, black negative.

    Args:
        weights: (K, C, H, W); the first ``MOST_FILTERS`` are shown.
        caption: what they are.
    """
    shown = weights[:MOST_FILTERS]
    peak = shown.abs().flatten(1).amax(dim=1).clamp_min(1e-12)[:, None, None, None]
    return _captioned(_grid((shown / peak + 1) / 2), f"{caption}: {len(shown)} of {len(weights)}, grey = 0")


def encoder_filters(model: DenoisingAutoencoder, shape: Sequence[int]) -> Tensor | None:
    """The first layer's weights as images (K, C, h, w), or None where they are none."""
    return _as_images(model.layers()[0][1].affine.weight, shape)


def decoder_atoms(model: DenoisingAutoencoder, shape: Sequence[int]) -> Tensor | None:
    """What each unit of the decoder's last layer adds to the reconstruction: (K, C, h, w), or None."""
    weight: Tensor = list(model.decoder.children())[-1].weight  # type: ignore[assignment]
    return _as_images(weight.t() if weight.dim() == 2 else weight, shape)


def _as_images(weight: Tensor, shape: Sequence[int]) -> Tensor | None:
    weight = weight.detach().float().cpu()
    weight = weight.view(-1, *shape) if weight.dim() == 2 and is_image(shape) else weight
    return weight if weight.dim() == 4 and weight.shape[1] in (1, 3) else None


def energy(model: DenoisingAutoencoder, x: Tensor, span: tuple[float, float]) -> Pixels:
    """The energy of every place of the plane, the data, and the directions of the first layer.

    After the figures of Goroshin & LeCun (2013), arXiv 1301.3577.

    Args:
        model: of two-dimensional inputs.
        x: data (N, 2).
        span: of both axes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    energies = energy_map(model, span).cpu().numpy()
    figure = Figure(figsize=(6.4, 5.2), dpi=110, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    shades = axes.imshow(
        np.log10(np.maximum(energies, 1e-8)), origin="lower", extent=(*span, *span), cmap="cividis", vmin=-5, vmax=0
    )
    figure.colorbar(shades, label="log10 of the energy  ½‖x − x̂(x)‖²")
    ticks = np.linspace(*span, len(energies))
    axes.contour(ticks, ticks, energies, levels=[LOW], colors="white", linewidths=1.2)
    axes.scatter(x[:, 0].cpu(), x[:, 1].cpu(), s=5, c="#d7301f", label="data")
    weight = model.layers()[0][1].affine.weight.detach().float().cpu().numpy()
    arrows = weight[:MOST_ARROWS].T
    axes.quiver(*np.zeros_like(arrows), *arrows, angles="xy", scale_units="xy", scale=4, color="white", width=0.006)
    axes.set(xlabel="x₁", ylabel="x₂", xlim=span, ylim=span)
    part = f" of {MOST_ARROWS} of {len(weight)} units" if len(weight) > MOST_ARROWS else ""
    axes.set_title(f"white line: energy {LOW:g}; arrows: encoder weights / 4{part}", fontsize=10)
    axes.legend(loc="upper right", fontsize=9)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _grid(images: Tensor) -> Pixels:
    """Images (N, C, H, W) in [0, 1] in rows of ``COLUMNS``, enlarged."""
    values = (images.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    values = np.broadcast_to(values.transpose(0, 2, 3, 1), (*values.shape[:1], *values.shape[2:], 3))
    factor = math.ceil(TILE / max(values.shape[1:3]))
    tiles = values.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = tiles.shape[1] + GAP, tiles.shape[2] + GAP
    rows = math.ceil(len(tiles) / COLUMNS)
    sheet = np.full((rows * height, COLUMNS * width, 3), PAPER, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        top, left = height * (index // COLUMNS), width * (index % COLUMNS)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def _captioned(sheet: Pixels, caption: str) -> Pixels:
    strip = Image.new("RGB", (sheet.shape[1], TEXT + GAP), (PAPER,) * 3)
    ImageDraw.Draw(strip).text((2, 2), caption, fill=(INK,) * 3, font=ImageFont.load_default(size=15))
    return np.concatenate([np.asarray(strip), sheet])
