"""Tally: what a store of rewards holds, in numbers, counted while it passes by on its way to disk."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import fsum
from typing import Any

import numpy as np

from simscale.dataset.rewards import TokenRewards
from simscale.dataset.rewards_code import plain_table, progress_table, rewards_of
from simscale.scoring.vocabulary import COLUMNS, ProgressMode


class Tally:
    """A row for each driver and measure of progress."""

    def __init__(self, *, size: int, modes: tuple[ProgressMode, ...]):
        """For vocabularies of so many trajectories."""
        self._size, self._modes = size, modes
        self._sums: dict[tuple[str, str], Counter[str]] = {}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Sums over tokens of what is meant over trajectories."""
        return [{"driver": who, "mode": mode, **sums} for (who, mode), sums in sorted(self._sums.items())]

    def counted(self, rewards: Iterable[TokenRewards]) -> Iterator[TokenRewards]:
        """Hands them on."""
        for one in rewards:
            for mode in self._modes:
                self._sums.setdefault((one.driver, mode), Counter()).update(self._of(one, mode))
            yield one

    def _of(self, one: TokenRewards, mode: ProgressMode) -> dict[str, int | float]:
        code = one.coded
        table = plain_table() if len(self._modes) == 1 else progress_table(code.best_m, code.expert_m, mode)
        rewards = rewards_of(code.row[None], table[None], code.failed[None], size=self._size, human_filter="fixed")
        means = {name: float(getattr(rewards, name).mean(dtype=np.float64)) for name in COLUMNS}
        return {"tokens": 1, "best": float(rewards.total.max()), "forgiven": float(code.failed.any()), **means}


def means_of(rows: Sequence[dict[str, Any]], progress: ProgressMode) -> dict[str, dict[str, int | float]]:
    """Means over tokens, by driver; the sums do not depend on the order of the rows."""
    means = {}
    for who in sorted({row["driver"] for row in rows}):
        own = [row for row in rows if row["driver"] == who and row["mode"] == progress]
        tokens = sum(row["tokens"] for row in own)
        names = ("best", "forgiven", *COLUMNS)
        means[who] = {"tokens": tokens, **{name: round(fsum(row[name] for row in own) / tokens, 6) for name in names}}
    return means
