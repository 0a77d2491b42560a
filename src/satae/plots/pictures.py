"""Pictures of a model: its reconstructions, its filters, and its energy over the plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from satae.experiment.experiment import Experiment
from satae.model.autoencoder import DenoisingAutoencoder
from satae.plots.style import COLORS, Picture, draw_each, figure_style, panel_grid, to_picture
from satae.runs.layout import PICTURES_FOLDER
from satae.training.metric_titles import LOW_ENERGY
from satae.training.metrics import energy_map

TILE_SIZE: Final = 56  # pixels at least; an image is enlarged by a whole factor, without smoothing
TILE_GAP: Final = 3  # pixels
CAPTION_HEIGHT: Final = 20  # pixels
TILES_PER_ROW: Final = 8
MAX_FILTERS: Final = 64
MAX_ARROWS: Final = 16
WHITE, DARK = 255, 40

Pixels = np.ndarray  # (height, width, 3), uint8


@torch.no_grad()
def draw(
    model: DenoisingAutoencoder,
    x: Tensor,
    x_noisy: Tensor,
    span: tuple[float, float],
    warn: Callable[[str], object] | None = None,
) -> dict[str, Picture]:
    """Draw all pictures that exist for a model and the shape of its data, by name; one that fails is left out.

    Args:
        model: in evaluation mode.
        x: examples (N, *shape) in the units of the data.
        x_noisy: the corrupted examples.
        span: the smallest and the largest value of the data.
        warn: gets a warning that names the pictures that failed; by default, standard error does.
    """
    shape = x.shape[1:]
    draws: dict[str, Callable[[], Picture]] = {}
    if is_image(shape):
        rows = {"clean input": x, "noisy input": x_noisy, "reconstruction of the noisy input": model(x_noisy)}
        draws["reconstructions"] = lambda: Picture.encode(draw_sheet(rows, span))
    if (in_encoder := encoder_weights(model, shape)) is not None:
        draws["encoder_filters"] = lambda: Picture.encode(draw_filters(in_encoder, "first encoder layer"))
    if (atoms := decoder_atoms(model, shape)) is not None:
        draws["decoder_atoms"] = lambda: Picture.encode(draw_filters(atoms, "last decoder layer"))
    if shape == (2,):
        draws["energy"] = lambda: draw_energy(model, x, span)
    return draw_each(draws, warn)


def draw_examples(experiment: Experiment, warn: Callable[[str], object] | None = None) -> dict[str, Picture]:
    """Draw all pictures of an experiment on its validation examples, by name; one that fails is left out."""
    return draw(experiment.model.eval(), *experiment.examples(), experiment.data.span, warn)


def save(pictures: Mapping[str, Picture], directory: Path) -> list[str]:
    """Write each picture to ``pictures/<name>.png`` in the directory of a run; returns the names."""
    if pictures:
        (directory / PICTURES_FOLDER).mkdir(exist_ok=True)
    for name, picture in pictures.items():
        (directory / PICTURES_FOLDER / f"{name}.png").write_bytes(picture.png)
    return list(pictures)


def is_image(shape: Sequence[int]) -> bool:
    """Whether inputs of this shape (C, H, W) are grey or color images."""
    return len(shape) == 3 and shape[0] in (1, 3)


def draw_sheet(rows: Mapping[str, Tensor], span: tuple[float, float]) -> Pixels:
    """Labeled rows of images: by label (N, C, H, W) in the units of the data, of which ``TILES_PER_ROW`` are shown."""
    low, high = span
    grids = [_tile((images[:TILES_PER_ROW] - low) / (high - low)) for images in rows.values()]
    return np.concatenate([_add_caption(grid, name) for grid, name in zip(grids, rows, strict=True)])


def draw_filters(weights: Tensor, caption: str) -> Pixels:
    """Weights as small images, each scaled by its own largest: grey is zero, white positive, black negative.

    Args:
        weights: (K, C, H, W); the first ``MAX_FILTERS`` are shown.
        caption: above the images.
    """
    shown = weights[:MAX_FILTERS]
    peak = shown.abs().flatten(1).amax(dim=1).clamp_min(1e-12)[:, None, None, None]
    return _add_caption(_tile((shown / peak + 1) / 2), f"{caption}: {len(shown)} of {len(weights)}, grey = 0")


def encoder_weights(model: DenoisingAutoencoder, shape: Sequence[int]) -> Tensor | None:
    """The weights of the first layer as images (K, C, h, w); None if they are not images."""
    return _as_images(model.layers()[0][1].affine.weight, shape)


def decoder_atoms(model: DenoisingAutoencoder, shape: Sequence[int]) -> Tensor | None:
    """What each unit of the last decoder layer adds to the reconstruction: (K, C, h, w); None if not images."""
    weight: Tensor = list(model.decoder.children())[-1].weight  # type: ignore[assignment]
    return _as_images(weight.t() if weight.dim() == 2 else weight, shape)


def _as_images(weight: Tensor, shape: Sequence[int]) -> Tensor | None:
    weight = weight.detach().float().cpu()
    weight = weight.view(-1, *shape) if weight.dim() == 2 and is_image(shape) else weight
    return weight if weight.dim() == 4 and weight.shape[1] in (1, 3) else None


def draw_energy(model: DenoisingAutoencoder, x: Tensor, span: tuple[float, float]) -> Picture:
    """The energy over the plane, the data, and the directions of the first layer.

    After the figures of Goroshin & LeCun (2013), arXiv 1301.3577.

    Args:
        model: with two-dimensional inputs.
        x: data (N, 2).
        span: the range of both axes.
    """
    energies = energy_map(model, span).cpu().numpy()
    weight = model.layers()[0][1].affine.weight.detach().float().cpu().numpy()
    arrows = weight[:MAX_ARROWS].T
    shown = f" of {MAX_ARROWS} of {len(weight)} units" if len(weight) > MAX_ARROWS else ""
    ticks = np.linspace(*span, len(energies))
    with figure_style():
        figure, (ax,) = panel_grid(1, 1, (6.4, 5.2))
        log_energies = np.log10(np.maximum(energies, 1e-8))
        image = ax.imshow(log_energies, origin="lower", extent=(*span, *span), cmap="cividis", vmin=-5, vmax=0)
        figure.colorbar(image, label="log10 of the energy  ½‖x − x̂(x)‖²")
        ax.grid(visible=False)
        ax.contour(ticks, ticks, energies, levels=[LOW_ENERGY], colors="white", linewidths=1.2)
        ax.scatter(x[:, 0].cpu(), x[:, 1].cpu(), s=5, c=COLORS[1], label="data")
        ax.quiver(*np.zeros_like(arrows), *arrows, angles="xy", scale_units="xy", scale=4, color="white", width=0.006)
        ax.set(xlabel="x₁", ylabel="x₂", xlim=span, ylim=span)
        ax.set_title(f"white line: energy {LOW_ENERGY:g}; arrows: encoder weights / 4{shown}")
        ax.legend(loc="upper right", frameon=True)
        return to_picture(figure)


def _tile(images: Tensor) -> Pixels:
    """Arrange images (N, C, H, W) in [0, 1] in rows of ``TILES_PER_ROW``, enlarged."""
    values = (images.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    values = np.broadcast_to(values.transpose(0, 2, 3, 1), (*values.shape[:1], *values.shape[2:], 3))
    factor = math.ceil(TILE_SIZE / max(values.shape[1:3]))
    tiles = values.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = tiles.shape[1] + TILE_GAP, tiles.shape[2] + TILE_GAP
    rows = math.ceil(len(tiles) / TILES_PER_ROW)
    pixels = np.full((rows * height, TILES_PER_ROW * width, 3), WHITE, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        top, left = height * (index // TILES_PER_ROW), width * (index % TILES_PER_ROW)
        pixels[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return pixels


def _add_caption(pixels: Pixels, caption: str) -> Pixels:
    strip = Image.new("RGB", (pixels.shape[1], CAPTION_HEIGHT + TILE_GAP), (WHITE,) * 3)
    ImageDraw.Draw(strip).text((2, 2), caption, fill=(DARK,) * 3, font=ImageFont.load_default(size=15))
    return np.concatenate([np.asarray(strip), pixels])
