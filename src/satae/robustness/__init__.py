"""How far small perturbations get: attacks, bounds, and the checks that tell a robust model from masked gradients."""
