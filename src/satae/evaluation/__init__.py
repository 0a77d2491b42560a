"""What a trained model is like, measured after the training (satae-eval): extensions beyond the paper."""
