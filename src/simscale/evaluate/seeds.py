"""Which towns are for what: no street is in two of these, so that nothing is tested where it was trained.

Tune on the validation towns, never on the test's.
"""

TRAIN_SEEDS = tuple(range(1000))
"""Towns to train in; `simscale town` without a seed makes the first of them."""
VALIDATION_SEEDS = tuple(range(5000, 5016))
"""Towns to choose settings by."""
TEST_SEEDS = tuple(range(7000, 7016))
"""Towns of `towntest` and `townhard`."""
PERTURBATION_SEED = 77
"""Seed of the second-stage starts; no training set uses it."""
