"""Sparse sampling without replacement: a round draws cells that no earlier round drew, one candidate in each.

What a round draws depends on (seed, token, round) and on what the token's earlier rounds drew, never on the order in
which tokens are done or on who does them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from simscale.scene.seeds import generator_of

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The candidates of one token, sorted into cells."""

    member: Int[Array, " n"]  # candidates, cell by cell
    start: Int[Array, " c1"]  # cell `i` holds member[start[i]:start[i+1]]; c1 = cells + 1

    def __len__(self) -> int:
        """Number of cells that hold a candidate."""
        return len(self.start) - 1


def grid_of(cells: Int[Array, "k 3"], candidates: Int[Array, " k"]) -> Grid:
    """Sorts candidates into their cells; cells stand in lexicographic order."""
    if len(cells) == 0:
        return Grid(member=np.zeros(0, dtype=np.int64), start=np.zeros(1, dtype=np.int64))
    _, cell, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(cell.ravel(), kind="stable")
    return Grid(member=candidates[order], start=np.concatenate([[0], np.cumsum(count)]))


def draw(
    grid: Grid, visited: Bool[Array, " c"], *, tries: int, seed: int, token: str, round_: int
) -> tuple[Int[Array, " d"], Int[Array, " d"]]:
    """Draws up to `tries` unvisited cells in random order, and one candidate in each.

    Returns:
        Cells and candidates. The caller marks those cells as visited that it comes to try.
    """
    generator = generator_of(seed, token, round_, "perturb")
    free = np.flatnonzero(~visited)
    cells = generator.permutation(free)[:tries]
    places = generator.random(len(cells))
    size = grid.start[cells + 1] - grid.start[cells]
    return cells, grid.member[grid.start[cells] + (places * size).astype(np.int64)]
