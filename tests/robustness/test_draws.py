import torch

from satae.robustness.draws import Draws


def test_numbers_belong_to_the_example_and_not_to_the_batch():
    whole = Draws.of(3, torch.arange(10)).uniform(5, (2, 3))
    assert torch.equal(whole[[7, 2]], Draws.of(3, torch.tensor([7, 2])).uniform(5, (2, 3)))
    assert torch.equal(whole[4:], Draws.of(3, torch.arange(10))[torch.arange(10) > 3].uniform(5, (2, 3)))


def test_seed_example_and_count_each_give_other_numbers():
    streams = [Draws.of(seed, torch.arange(20)).uniform(count, (20,)) for seed in range(5) for count in range(20)]
    assert len(torch.stack(streams).flatten().unique()) > 0.99 * 5 * 20 * 20 * 20


def test_numbers_are_those_of_before():  # or cached results would no longer be those of a new run
    found = Draws.of(0, torch.tensor([0, 1])).uniform(0, (2,))
    assert [round(value, 6) for value in found.flatten().tolist()] == GOLDEN


GOLDEN = [0.0, 0.0, 0.0, 0.0]


def test_they_are_even():
    found = Draws.of(1, torch.arange(200)).uniform(0, (500,))
    assert found.min() >= 0
    assert found.max() < 1
    counts = torch.histc(found, 20, 0, 1)
    assert ((counts - 5000).square() / 5000).sum() < 50  # chi squared with 19 degrees; P = 1e-4
    assert abs(torch.corrcoef(found[:, :2].T)[0, 1]) < 0.3
    assert abs(torch.corrcoef(torch.stack([found[:-1].flatten(), found[1:].flatten()]))[0, 1]) < 0.02


def test_normal_numbers_signs_and_whole_numbers():
    draws = Draws.of(2, torch.arange(1000))
    normal = draws.normal(0, (50,))
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert abs((normal.abs() > 1.959964).float().mean() - 0.05) < 0.005
    assert {*draws.signs(1, (3,)).flatten().tolist()} == {-1.0, 1.0}
    assert {*draws.below(4, 2).tolist()} == {0, 1, 2, 3}
