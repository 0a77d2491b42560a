import pytest
import torch

from satae.robustness.draws import Draws


def test_numbers_belong_to_the_example_and_not_to_the_batch():
    whole = Draws.of(3, torch.arange(10)).uniform(5, (2, 3))
    assert torch.equal(whole[[7, 2]], Draws.of(3, torch.tensor([7, 2])).uniform(5, (2, 3)))
    assert torch.equal(whole[4:], Draws.of(3, torch.arange(10))[torch.arange(10) > 3].uniform(5, (2, 3)))


def test_seed_example_and_count_each_give_other_numbers():
    streams = [Draws.of(seed, torch.arange(20)).uniform(count, (20,)) for seed in range(5) for count in range(20)]
    assert len(torch.stack(streams).flatten().unique()) > 0.99 * 5 * 20 * 20 * 20


def mixed(bits):
    """SplitMix64's function on whole numbers of Python."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % 2**64
    return bits ^ (bits >> 31)


@pytest.mark.parametrize(("seed", "example", "count"), [(0, 0, 0), (7, 3, 5), (123456789, 10**6, 1 << 40)])
def test_numbers_are_those_of_before(seed, example, count):  # or cached results would not be those of a new run
    golden = 0x9E3779B97F4A7C15
    key = mixed((mixed((seed + golden) % 2**64) + (example + 1) * golden) % 2**64)
    stream = mixed(key ^ mixed((count * golden) % 2**64))
    expected = [(mixed((stream + i * golden) % 2**64) >> 40) / 2**24 for i in (1, 2, 3)]
    assert Draws.of(seed, torch.tensor([example])).uniform(count, (3,))[0].tolist() == expected


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
