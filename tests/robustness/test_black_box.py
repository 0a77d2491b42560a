import pytest
import torch
from test_norm_ball import assert_inside
from victims import EVERYTHING, attacked, classifier, linear, streams

from satae.robustness.black_box import Windows, as_image, bump, random_search, square, tiled_bumps, window_sides
from satae.robustness.norm_ball import NORMS, NormBall

RADII = {"linf": 0.15, "l2": 1.0}


@pytest.mark.parametrize("attack", [square, random_search])
def test_black_box_attacks_break_an_undefended_classifier(attack):
    x, y = attacked(50)
    fooled = attack(classifier(), x, y, EVERYTHING, streams(50), queries=200).fooled
    assert fooled.all() if attack is square else fooled.float().mean() > 0.8


@pytest.mark.parametrize("attack", [square, random_search])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("flat", [False, True])
def test_black_box_finds_fooling_points_inside_the_ball(attack, norm, flat):
    x, y = attacked(50)
    x = x.flatten(1) if flat else x
    ball = NormBall(norm, RADII[norm])
    found = attack(classifier(), x, y, ball, streams(50), queries=100)
    assert found.x.shape == x.shape
    assert_inside(found.x, x, ball)
    assert torch.equal(classifier()(found.x).argmax(dim=1) != y, found.fooled)


@pytest.mark.parametrize("norm", NORMS)
def test_square_finds_more_than_random_search(norm):
    x, y = attacked()
    ball = NormBall(norm, RADII[norm])
    found, lucky = (a(classifier(), x, y, ball, streams(len(x)), queries=300).fooled for a in (square, random_search))
    assert found.sum() > lucky.sum() + 20


@pytest.mark.parametrize("norm", NORMS)
def test_square_nearly_reaches_the_optimum_of_a_linear_model(norm):
    weight = torch.linspace(-1, 1, 12)
    x = (0.5 + 0.1 * weight).repeat(64, 1)
    dual = weight.abs().sum() if norm == "linf" else weight.norm()
    smallest = (x[0] @ weight / dual).item()  # no smaller change reaches the other class

    def fooled(epsilon):
        ball = NormBall(norm, epsilon, -1.0, 2.0)
        return square(linear(weight), x, torch.zeros(64, dtype=torch.long), ball, streams(64), queries=500).fooled

    assert fooled(1.5 * smallest).float().mean() > 0.85
    assert not fooled(0.9 * smallest).any()


def test_windows_cut_and_paste_inside_their_mask():
    image = torch.rand(6, 2, 5, 7)
    windows = Windows.draw(streams(6).uniform(0, (2,)), (2, 3), image)
    inside = windows.cut(image)
    assert inside.shape == (6, 2, 2, 3)
    torch.testing.assert_close(inside.sum(dim=(2, 3)), (image * windows.mask()).sum(dim=(2, 3)))
    assert torch.equal(windows.paste(inside, image), image)
    assert torch.equal(windows.paste(0 * inside, image), image * ~windows.mask())


def test_windows_have_the_requested_size_and_reach_every_place():
    image = torch.zeros(2000, 1, 6, 6)
    windows = Windows.draw(streams(2000).uniform(0, (2,)), (2, 2), image)
    assert (windows.mask().sum(dim=(1, 2, 3)) == 4).all()
    assert {*windows.top.tolist()} == {*windows.left.tolist()} == {0, 1, 2, 3, 4}
    assert window_sides(torch.zeros(1, 3, 8, 8), 0.25) == (4, 4)
    assert window_sides(torch.zeros(1, 1, 1, 64), 0.25) == (1, 16)
    assert window_sides(torch.zeros(1, 1, 4, 4), 0.8 / 512) == (1, 1)
    assert window_sides(torch.zeros(1, 1, 2, 2), 0.1, least=3) == (2, 2)


@pytest.mark.parametrize("sides", [(1, 1), (1, 6), (3, 3), (4, 4), (5, 5), (3, 7)])
def test_a_bump_has_norm_1_and_two_signs(sides):
    found = bump(*sides)
    assert found.shape == sides
    torch.testing.assert_close(found.norm(), torch.tensor(1.0))
    assert sides == (1, 1) or {*found.sign().flatten().tolist()} == {-1.0, 1.0}


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 8), (1, 28, 28), (1, 1, 2), (2, 9, 4)])
def test_the_first_point_changes_every_image(shape):
    assert (tiled_bumps(streams(3), torch.zeros(3, *shape)).flatten(1).norm(dim=1) > 0).all()


def test_flat_inputs_become_one_row():
    assert as_image(torch.zeros(5, 12)).shape == (5, 1, 1, 12)
    assert as_image(torch.zeros(5, 3, 2, 2)).shape == (5, 3, 2, 2)
