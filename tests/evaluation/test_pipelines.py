"""Neighbouring affine maps of a pipeline are merged, and nothing else changes."""

import pytest
import torch
from torch import nn

import satae
from satae.evaluation.classifiers import plain_classifier
from satae.evaluation.pipelines import Pipeline
from satae.model.autoencoder import Dense, Encoder

SHAPE = (1, 4, 8)


def pipeline(make=satae.mlp, **options):
    autoencoder, classifier = make(SHAPE, nn.Tanh, **options), plain_classifier(SHAPE, 10)
    autoencoder.standardize_by(torch.rand(SHAPE), 0.5 + torch.rand(1, 1, 1))
    classifier.mean.uniform_()
    classifier.std.uniform_(0.5, 1.5)
    for part in autoencoder.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return Pipeline.of(autoencoder, classifier)


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"batch_norm": True}], ids=["plain", "tied", "batch_norm"])
def test_a_merged_pipeline_has_the_outputs_and_gradients_of_the_original(options):
    found, x = pipeline(widths=[12, 5], **options), torch.rand(7, *SHAPE, requires_grad=True)
    for output in (lambda model: model(x), lambda model: torch.autograd.grad(model(x).square().sum(), x)[0]):
        torch.testing.assert_close(output(found.model), output(found.original), rtol=1e-4, atol=1e-4)
    assert [layer.weight.shape for layer in found.model if isinstance(layer, Dense)] == [
        (12, 32),
        (5, 12),
        (12, 5),
        (200, 12),  # the last layer of the autoencoder and the first one of the classifier
        (200, 200),
        (10, 200),
    ]
    assert not any(weight.requires_grad for weight in found.model.parameters())


def test_a_merged_classifier_of_codes_has_the_outputs_of_the_original():
    autoencoder, x = satae.mlp(SHAPE, nn.Tanh, widths=[12, 5]), torch.rand(7, *SHAPE)
    autoencoder.standardize_by(torch.rand(SHAPE), 0.5 + torch.rand(1, 1, 1))
    found = Pipeline.of(Encoder(autoencoder), plain_classifier((5,), 10))
    torch.testing.assert_close(found.model(x), found.original(x), rtol=1e-4, atol=1e-4)
    assert [layer.weight.shape[0] for layer in found.model if isinstance(layer, Dense)] == [12, 5, 200, 200, 10]


def test_merging_leaves_the_original_and_the_random_numbers_alone():
    torch.manual_seed(0)
    found = pipeline(widths=[3])
    before, drawn = {k: v.clone() for k, v in found.original.state_dict().items()}, torch.get_rng_state()
    again = Pipeline.of(*found.original)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(v, before[k]) for k, v in again.original.state_dict().items())
    assert again.fingerprint() == found.fingerprint()


def test_a_convolutional_pipeline_stays_as_it_is():
    found = pipeline(satae.conv, channels=[3], code=4)
    assert found.model is found.original
