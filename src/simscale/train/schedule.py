"""Learning rates over a training.

Ours rise over the first steps and then fall with every step. The published recipes change the rate once an epoch; an
epoch is then an equal part of the training's steps, so that a training on more examples has the same course.
"""

import math
from dataclasses import dataclass

LAST_SHARE = 0.02
"""Of the learning rate, at the end of our cosine (ours)."""


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """A rate that changes once an epoch: a rise, then half a cosine (`WarmupCosLR` of the reference)."""

    count: int = 100
    warm_up: int = 3  # epochs of the rise; the first has a part of the rate, not none
    least: float = 1e-6  # at the end

    def rate_at(self, epoch: int, rate: float) -> float:
        """Learning rate of an epoch, if it is `rate` at its highest."""
        if epoch < self.warm_up:
            return rate * (epoch + 1) / self.warm_up
        gone = (epoch - self.warm_up) / (self.count - self.warm_up)
        return self.least + (rate - self.least) * (1 + math.cos(math.pi * gone)) / 2

    def at(self, step: int, steps: int, rate: float) -> float:
        """Learning rate of a step, from 0, of a training of `steps`."""
        return self.rate_at(step * self.count // steps, rate)


def cosine(step: int, steps: int, rate: float, *, warm_up: int) -> float:
    """A rise over `warm_up` steps, then half a cosine down to `LAST_SHARE`."""
    gone = max(step - warm_up, 0) / max(steps - warm_up, 1)
    fall = LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * min(gone, 1.0))) / 2
    return constant(step, rate, warm_up=warm_up) * fall


def constant(step: int, rate: float, *, warm_up: int) -> float:
    """A rise over `warm_up` steps, then always the same."""
    return rate * min((step + 1) / max(warm_up, 1), 1.0)
