import pytest
import torch
from test_ball import assert_inside
from victims import EVERYTHING, attacked, classifier, draws, linear

from satae.robustness.ball import NORMS, Ball
from satae.robustness.search import random_search, square
from satae.robustness.windows import Windows, as_image, bump, sides_of, tiles

RADII = {"linf": 0.15, "l2": 1.0}


@pytest.mark.parametrize("attack", [square, random_search])
def test_an_undefended_classifier_is_broken_without_its_gradient(attack):
    x, y = attacked(50)
    fooled = attack(classifier(), x, y, EVERYTHING, draws(50), queries=200).fooled
    assert fooled.all() if attack is square else fooled.float().mean() > 0.8


@pytest.mark.parametrize("attack", [square, random_search])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("flat", [False, True])
def test_what_is_found_fools_and_is_in_the_ball(attack, norm, flat):
    x, y = attacked(50)
    x = x.flatten(1) if flat else x
    ball = Ball(norm, RADII[norm])
    found = attack(classifier(), x, y, ball, draws(50), queries=100)
    assert found.x.shape == x.shape
    assert_inside(found.x, x, ball)
    assert torch.equal(classifier()(found.x).argmax(dim=1) != y, found.fooled)


@pytest.mark.parametrize("norm", NORMS)
def test_square_finds_what_luck_does_not(norm):
    x, y = attacked()
    ball = Ball(norm, RADII[norm])
    found, lucky = (a(classifier(), x, y, ball, draws(len(x)), queries=300).fooled for a in (square, random_search))
    assert found.sum() > lucky.sum() + 20


@pytest.mark.parametrize("norm", NORMS)
def test_square_comes_near_the_optimum_of_a_linear_model(norm):
    weight = torch.linspace(-1, 1, 12)
    x = 0.5 + 0.1 * weight[None]
    dual = weight.abs().sum() if norm == "linf" else weight.norm()
    ball = Ball(norm, 1.5 * (x @ weight / dual).item(), -1.0, 2.0)
    zero = torch.tensor([0])
    assert square(linear(weight), x, zero, ball, draws(1), queries=500).fooled
    assert not square(linear(weight), x, zero, ball._replace(epsilon=0.6 * ball.epsilon), draws(1), queries=500).fooled


def test_windows_are_cut_out_and_pasted_in_where_their_mask_is():
    image = torch.rand(6, 2, 5, 7)
    windows = Windows.draw(draws(6), (2, 3), image, 0)
    inside = windows.cut(image)
    assert inside.shape == (6, 2, 2, 3)
    torch.testing.assert_close(inside.sum(dim=(2, 3)), (image * windows.mask()).sum(dim=(2, 3)))
    assert torch.equal(windows.paste(inside, image), image)
    assert torch.equal(windows.paste(0 * inside, image), image * ~windows.mask())


def test_windows_are_as_large_as_is_asked_and_come_everywhere():
    image = torch.zeros(2000, 1, 6, 6)
    windows = Windows.draw(draws(2000), (2, 2), image, 0)
    assert (windows.mask().sum(dim=(1, 2, 3)) == 4).all()
    assert {*windows.top.tolist()} == {*windows.left.tolist()} == {0, 1, 2, 3, 4}
    assert sides_of(torch.zeros(1, 3, 8, 8), 0.25) == (4, 4)
    assert sides_of(torch.zeros(1, 1, 1, 64), 0.25) == (1, 16)
    assert sides_of(torch.zeros(1, 1, 4, 4), 0.8 / 512) == (1, 1)
    assert sides_of(torch.zeros(1, 1, 2, 2), 0.1, least=3) == (2, 2)


@pytest.mark.parametrize("sides", [(1, 1), (1, 6), (3, 3), (4, 4), (5, 5), (3, 7)])
def test_a_bump_has_length_1_and_two_signs(sides):
    found = bump(*sides)
    assert found.shape == sides
    torch.testing.assert_close(found.norm(), torch.tensor(1.0))
    assert sides == (1, 1) or {*found.sign().flatten().tolist()} == {-1.0, 1.0}


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 8), (1, 28, 28), (1, 1, 2), (2, 9, 4)])
def test_the_first_point_moves_something_of_every_image(shape):
    assert (tiles(draws(3), torch.zeros(3, *shape)).flatten(1).norm(dim=1) > 0).all()


def test_flat_inputs_are_one_row():
    assert as_image(torch.zeros(5, 12)).shape == (5, 1, 1, 12)
    assert as_image(torch.zeros(5, 3, 2, 2)).shape == (5, 3, 2, 2)
