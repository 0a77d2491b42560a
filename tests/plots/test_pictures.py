"""Pictures show the numbers that they are drawn from."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from satae.model.architectures import conv, mlp
from satae.plots import pictures

SIZE, TOP = pictures.TILE_SIZE, pictures.CAPTION_HEIGHT + pictures.TILE_GAP


def opened(picture):
    image = np.asarray(Image.open(io.BytesIO(picture.png)))
    assert image.shape == (picture.height, picture.width, 3)
    return image


def drawn(model, shape, span=(0.0, 1.0)):
    x = torch.rand(10, *shape, generator=torch.Generator().manual_seed(0))
    return pictures.draw(model.eval(), x, x, span)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", [mlp, conv])
def test_images_get_reconstructions_filters_and_atoms(make, channels):
    found = drawn(make((channels, 8, 8), nn.ReLU), (channels, 8, 8))
    assert list(found) == ["reconstructions", "encoder_filters", "decoder_atoms"]
    assert all(opened(picture).std() > 0 for picture in found.values())


def test_the_atoms_of_a_tied_decoder_are_the_filters():
    model = mlp((1, 8, 8), nn.ReLU, widths=[4], tied=True)
    assert torch.equal(pictures.decoder_atoms(model, (1, 8, 8)), pictures.encoder_weights(model, (1, 8, 8)))


def test_the_plane_gets_its_energy_and_other_vectors_get_nothing():
    assert list(drawn(mlp((2,), nn.Hardtanh, widths=[2]), (2,), (-1.0, 1.0))) == ["energy"]
    assert drawn(mlp((5,), nn.ReLU, widths=[2]), (5,)) == {}


def test_pixels_are_enlarged_without_smoothing_and_keep_their_place():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 2] = 1.0
    sheet = pictures.draw_sheet({"x": x, "noisy": torch.zeros_like(x), "x_hat": torch.zeros_like(x)}, (0.0, 1.0))
    factor = SIZE // 4
    tile = sheet[TOP:][:SIZE, :SIZE, 0]
    expected = np.kron(x[0, 0].numpy() * 255, np.ones((factor, factor)))
    assert np.array_equal(tile, expected)


def test_values_outside_the_span_are_clipped_not_wrapped():
    x = torch.tensor([-5.0, 5.0]).view(1, 1, 1, 2).expand(1, 1, 2, 2)
    tile = pictures.draw_sheet({"x": x}, (0.0, 1.0))[TOP:][:SIZE]
    assert tile[0, 0, 0] == 0
    assert tile[0, SIZE - 1, 0] == 255


def test_a_zero_weight_is_grey_and_the_sign_is_kept():
    weights = torch.tensor([[2.0, 0.0], [-2.0, 1.0]]).view(1, 1, 2, 2)
    tile = pictures.draw_filters(weights, "weights")[TOP:][:SIZE, :SIZE, 0]
    half = SIZE // 2
    assert [tile[0, 0], tile[0, half], tile[half, 0]] == [255, 128, 0]


def test_pictures_are_saved_under_their_names(tmp_path):
    found = drawn(mlp((1, 8, 8), nn.ReLU, widths=[4]), (1, 8, 8))
    pictures.save(found, tmp_path)
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {f"{name}.png" for name in found}


def test_no_more_filters_than_fit():
    sheet = pictures.draw_filters(torch.rand(1000, 1, 8, 8), "weights")
    rows = (sheet.shape[0] - TOP) // (SIZE + pictures.TILE_GAP)
    assert rows * pictures.TILES_PER_ROW == pictures.MAX_FILTERS
