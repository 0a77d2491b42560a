"""Measures trained autoencoders after their training (``satae-eval``); an extension beyond the paper."""
