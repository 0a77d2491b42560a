"""Common corruptions of images, against skimage and by what they must keep."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from evaluated import PLANE, table, trained, typed
from program import read
from skimage import color, transform
from torch import Generator

from satae.evaluation.parts.corruptions import BRIGHTER, CONTRASTS, CORRUPTIONS, SEVERITIES, corrupt
from satae.evaluation.parts.denoising import Corruption

SPAN = (-1.0, 3.0)
MOVES = ("translate", "rotate", "scale", "shear")


def images(n=6, shape=(1, 28, 28)):
    """Smooth images in ``SPAN``."""
    coarse = torch.rand(n, shape[0], 3, 3, generator=Generator().manual_seed(1))
    return SPAN[0] + 4 * torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear")


def corrupted(kind, severity, x, seed=0):
    return corrupt(kind, x, severity, SPAN, Generator().manual_seed(seed))


def test_every_choice_has_a_corruption():
    assert {*get_args(Corruption)} == {*CORRUPTIONS}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 20, 30)])
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_images_move_further_from_the_clean_ones_with_each_severity_and_stay_in_the_range(kind, shape):
    x = images(40, shape)
    before = x.clone()
    found = [corrupted(kind, severity, x) for severity in SEVERITIES]
    assert all(y.shape == x.shape and y.dtype == x.dtype for y in found)
    assert all(SPAN[0] <= y.min() and y.max() <= SPAN[1] for y in found)
    errors = [(y - x).square().mean().item() for y in found]
    assert errors[0] > 0
    assert errors == sorted(errors)
    assert torch.equal(x, before)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_depends_on_the_seed_and_each_image_alone(kind):
    x = images()
    assert torch.equal(corrupted(kind, 3, x), corrupted(kind, 3, x))
    has_direction = kind in ("translate", "rotate", "shear")
    assert torch.equal(corrupted(kind, 3, x), corrupted(kind, 3, x, seed=1)) is not has_direction
    other = torch.cat([x[:3], x[:3]])
    torch.testing.assert_close(corrupted(kind, 3, x)[:3], corrupted(kind, 3, other)[:3])


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind != "brightness"])
def test_an_image_of_one_color_stays_as_it_is(kind):
    x = torch.tensor([0.5, 1.0, 2.0])[:, None, None].expand(2, 3, 16, 16).contiguous()
    torch.testing.assert_close(corrupted(kind, 5, x), x)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_is_raised_as_the_value_of_hsv(severity):
    x = images(4, (3, 12, 12))
    x[0] = SPAN[0]  # black
    hsv = color.rgb2hsv(((x - SPAN[0]) / 4).numpy(), channel_axis=1)
    hsv[:, 2] = np.minimum(hsv[:, 2] + BRIGHTER[severity - 1], 1)
    expected = SPAN[0] + 4 * torch.from_numpy(color.hsv2rgb(hsv, channel_axis=1))
    torch.testing.assert_close(corrupted("brightness", severity, x), expected.float(), atol=1e-5, rtol=0)
    grey = images()
    raised = (grey + 4 * BRIGHTER[severity - 1]).clamp(max=SPAN[1])
    torch.testing.assert_close(corrupted("brightness", severity, grey), raised)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_keeps_the_mean_and_shrinks_the_deviation(severity):
    x = images()
    y = corrupted("contrast", severity, x)
    torch.testing.assert_close(y.mean(dim=(1, 2, 3)), x.mean(dim=(1, 2, 3)))
    torch.testing.assert_close(y.std(dim=(1, 2, 3)), CONTRASTS[severity - 1] * x.std(dim=(1, 2, 3)))


def matrices(kind, severity, width, height):
    """The changes of place in pixels that a kind may make, one for each direction, as MNIST-C describes them."""
    for one in (-1, 1):
        for other in (-1, 1):
            if kind == "rotate":
                angle = one * 0.2 * severity
                yield [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
            if kind == "shear":
                yield [[1, one * 0.2 * severity, 0], [0, 1, 0], [0, 0, 1]]
            if kind == "scale":
                yield np.diag([1 / (1 - 0.1 * severity)] * 2 + [1])
            if kind == "translate":
                yield [[1, 0, one * severity * width / 28], [0, 1, other * severity * height / 28], [0, 0, 1]]


@pytest.mark.parametrize("shape", [(28, 28), (20, 30)])
@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("kind", MOVES)
def test_images_are_moved_about_their_center_as_skimage_does(kind, severity, shape):
    height, width = shape
    x = images(12, (1, height, width))
    to_center = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    seen = set()
    for before, after in zip(x[:, 0].numpy(), corrupted(kind, severity, x)[:, 0].numpy(), strict=True):
        errors = []
        for matrix in matrices(kind, severity, width, height):
            about_center = transform.AffineTransform(to_center @ np.array(matrix) @ np.linalg.inv(to_center))
            expected = transform.warp(before, about_center, order=1, mode="edge", preserve_range=True)
            errors.append(np.abs(expected - after).max())
        assert min(errors) < 1e-3
        seen.add(int(np.argmin(errors)))
    assert len(seen) == {"translate": 4, "rotate": 2, "shear": 2, "scale": 1}[kind]  # every direction occurs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits"), "data.limit=100")


LITTLE = (
    *("run=.", "evaluation=denoising", "denoising.uniform=[]", "denoising.masking=[]", "denoising.gaussian=[0.1]"),
    "denoising.salt_and_pepper=[]",
)


def test_the_console_has_the_means_over_the_severities_and_the_files_each_severity(run):
    outcome = typed(run, *LITTLE, "denoising.corruptions=[rotate,contrast,rotate]")
    assert (outcome.code, outcome.err) == (0, "")
    rows = table(outcome.out, "corruption")
    assert [row["corruption"] for row in rows] == ["rotate", "contrast", "mean"]
    _, every, means = read(run / "evaluation" / "denoising.json")["tables"]
    assert [row[:2] for row in every["rows"]] == [[kind, at] for kind in ("rotate", "contrast") for at in SEVERITIES]
    column = every["columns"].index("fvu")
    fvu = [np.mean([row[column] for row in every["rows"] if row[0] == kind]) for kind in ("rotate", "contrast")]
    assert [row[means["columns"].index("fvu")] for row in means["rows"]] == pytest.approx([*fvu, np.mean(fvu)])
    assert read(run / "evaluation" / "denoising.json")["headline"]["fvu under corruptions"] == pytest.approx(
        np.mean(fvu)
    )
    assert "note: corruptions: means over the severities 1 to 5, compared with the clean image" in outcome.out
    assert (run / "evaluation" / "denoising_corruptions.png").exists()
    again = typed(run, *LITTLE, "denoising.corruptions=[contrast]", "seed=1")
    assert table(again.out, "corruption")[0] == rows[1]  # without a direction, nothing is drawn


def test_an_empty_list_leaves_corruptions_out(run):
    outcome = typed(run, *LITTLE, "denoising.corruptions=[]")
    assert (outcome.code, "note: corruptions" in outcome.out) == (0, False)
    assert len(read(run / "evaluation" / "denoising.json")["tables"]) == 1
    assert not (run / "evaluation" / "denoising_corruptions.png").exists()


def test_inputs_that_are_no_images_have_one_note(tmp_path):
    run = trained(tmp_path, tiny=PLANE)
    out = typed(run, *LITTLE).out
    assert [line for line in out.splitlines() if "corruptions" in line] == [
        "note: no corruptions: the inputs are not images"
    ]
