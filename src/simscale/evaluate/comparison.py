"""Our numbers beside someone else's: how many were compared, how many are equal, and how far apart the worst are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from simscale.geometry.angles import wrap

Array = np.ndarray

EXACT = 0.0
"""Tolerance of what has a few possible values."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One quantity at one place: the first axis are its rows, such as trajectories."""

    quantity: str
    found: Shaped[Array, "*f"]
    expected: Shaped[Array, "*e"]
    tolerance: float
    relative: float = 0.0  # more tolerance, in shares of what is expected

    @property
    def difference(self) -> Float[Array, "*e"]:
        """How far apart; infinite where there is nothing to subtract, as in arrays of different shapes."""
        expected = np.asarray(self.expected, dtype=np.float64)
        found = np.asarray(self.found, dtype=np.float64)
        if found.shape != expected.shape:
            return np.full(expected.shape, np.inf)
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            apart = np.abs(found - expected)
        return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))

    @property
    def equal(self) -> Bool[Array, "*e"]:
        """Which are as near as they must be; nothing is where our array has another shape."""
        if self.relative == 0.0:
            return np.asarray(self.difference <= self.tolerance)
        size = np.abs(np.nan_to_num(np.asarray(self.expected, dtype=np.float64), posinf=0.0, neginf=0.0))
        return np.asarray(self.difference <= self.tolerance + self.relative * size)

    @property
    def agrees(self) -> bool:
        """Whether all are; two empty arrays of different shapes do not agree either."""
        return bool(self.equal.all()) and np.shape(self.found) == np.shape(self.expected)

    @property
    def sentence(self) -> str:
        """What is wrong first."""
        found, expected = np.asarray(self.found), np.asarray(self.expected)
        if found.shape != expected.shape:
            return f"{self.quantity} has shape {found.shape}, expected {expected.shape}"
        wrong = np.argwhere(~self.equal)
        at = tuple(int(i) for i in wrong[0])
        where = f"[{', '.join(map(str, at))}]" if at else ""
        more = f" ({len(wrong)} of {found.size} differ)" if len(wrong) > 1 else ""
        return f"{self.quantity}{where} is {found[at]}, expected {expected[at]}{more}"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """All comparisons of one quantity."""

    compared: int = 0
    equal: int = 0
    worst: float = 0.0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            compared=self.compared + other.compared,
            equal=self.equal + other.equal,
            worst=max(self.worst, other.worst),
        )


def of_states(
    quantity: str, found: Float[Array, "*f c"], expected: Float[Array, "*e d"], *, tolerance: float, yaw: int = 2
) -> Comparison:
    """Rows one column of which is a heading, which counts by its direction: pi is -pi."""
    if found.shape == expected.shape:
        found = found.copy()
        found[..., yaw] = expected[..., yaw] + wrap(found[..., yaw] - expected[..., yaw])
    return Comparison(quantity=quantity, found=found, expected=expected, tolerance=tolerance)


def of_names(quantity: str, found: Sequence[str], expected: Sequence[str]) -> Comparison:
    """Lists of names, place by place; a longer list has names that equal nothing."""
    places = max(len(found), len(expected))
    same = [i < min(len(found), len(expected)) and found[i] == expected[i] for i in range(places)]
    return Comparison(quantity=quantity, found=np.array(same), expected=np.ones(places, dtype=bool), tolerance=EXACT)


def agreements(comparisons: Iterable[Comparison]) -> dict[str, Agreement]:
    """Sums by quantity, in the order in which quantities first come."""
    sums: dict[str, Agreement] = {}
    for one in comparisons:
        difference, equal = one.difference, one.equal
        whole = np.shape(one.found) == np.shape(one.expected)
        here = Agreement(
            compared=max(equal.size, 0 if whole else 1),
            equal=int(equal.sum()),
            worst=float(difference.max(initial=0.0 if whole else np.inf)),
        )
        sums[one.quantity] = sums.get(one.quantity, Agreement()) + here
    return sums
