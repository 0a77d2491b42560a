import pytest
import torch

from satae.robustness.random_streams import RandomStreams


def test_random_numbers_belong_to_the_example_and_not_to_the_batch():
    whole = RandomStreams.for_examples(3, torch.arange(10)).uniform(5, (2, 3))
    assert torch.equal(whole[[7, 2]], RandomStreams.for_examples(3, torch.tensor([7, 2])).uniform(5, (2, 3)))
    assert torch.equal(
        whole[4:], RandomStreams.for_examples(3, torch.arange(10))[torch.arange(10) > 3].uniform(5, (2, 3))
    )


def test_seed_example_and_count_each_change_the_numbers():
    streams = [
        RandomStreams.for_examples(seed, torch.arange(20)).uniform(count, (20,))
        for seed in range(5)
        for count in range(20)
    ]
    assert len(torch.stack(streams).flatten().unique()) > 0.99 * 5 * 20 * 20 * 20


def mixed(bits):
    """SplitMix64's function on whole numbers of Python."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % 2**64
    return bits ^ (bits >> 31)


@pytest.mark.parametrize(("seed", "example", "count"), [(0, 0, 0), (7, 3, 5), (123456789, 10**6, 1 << 40)])
def test_random_numbers_never_change_between_versions(seed, example, count):
    golden = 0x9E3779B97F4A7C15
    key = mixed((mixed((seed + golden) % 2**64) + (example + 1) * golden) % 2**64)
    stream = mixed(key ^ mixed((count * golden) % 2**64))
    expected = [(mixed((stream + i * golden) % 2**64) >> 40) / 2**24 for i in (1, 2, 3)]
    assert RandomStreams.for_examples(seed, torch.tensor([example])).uniform(count, (3,))[0].tolist() == expected


def test_uniform_numbers_are_uniform():
    found = RandomStreams.for_examples(1, torch.arange(200)).uniform(0, (500,))
    assert found.min() >= 0
    assert found.max() < 1
    counts = torch.histc(found, 20, 0, 1)
    assert ((counts - 5000).square() / 5000).sum() < 50  # chi squared with 19 degrees; P = 1e-4
    assert abs(torch.corrcoef(found[:, :2].T)[0, 1]) < 0.3
    assert abs(torch.corrcoef(torch.stack([found[:-1].flatten(), found[1:].flatten()]))[0, 1]) < 0.02


def test_normal_signs_and_integers_have_their_distributions():
    streams = RandomStreams.for_examples(2, torch.arange(1000))
    normal = streams.normal(0, (50,))
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert abs((normal.abs() > 1.959964).float().mean() - 0.05) < 0.005
    assert {*streams.signs(1, (3,)).flatten().tolist()} == {-1.0, 1.0}
    assert {*streams.integers(4, 2).tolist()} == {0, 1, 2, 3}
