"""Mixture: how many simulated examples go with the real ones, and in which order a planner meets them.

Simulated states are moving states for the most part. Poured in as they come, they teach a planner that one hardly ever
stands, and it forgets to stand at red lights. So the mixture is stratified by speed and command: whatever is added,
each stratum keeps the share that it has among the real examples, and simulated ones compete with real ones of their
own stratum alone.

The order is counter-based. Example number n of a training is a function of the seed and n, so the sampler's whole
state is one integer, and no worker, restart or batch size changes it. Examples are dealt in decks as long as the
mixture; within a stratum everything is dealt once before anything is dealt again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from simscale.dataset.command import Command
from simscale.dataset.loading import Examples
from simscale.scene import BadInput
from simscale.scene.seeds import generator_of

Array = np.ndarray

SPEED_BOUNDS = (0.5, 4.0, 8.0)
"""Between standing, creeping and turning, town, and fast, m/s (ours)."""
STRATA = (len(SPEED_BOUNDS) + 1) * len(Command)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What a planner is taught; part of its checkpoint."""

    real: tuple[Path, ...]  # rendered decision points
    simulated: tuple[Path, ...] = ()  # rendered samples
    simulated_per_real: float | None = None  # examples; all that there are where not said
    experts: tuple[str, ...] = ()  # whose answers are taken; everybody's where empty
    expert_shares: dict[str, float] = field(default_factory=dict)  # among the simulated; as they come where empty
    rounds: int | None = None  # rounds 0 to rounds - 1 are taken; all where not said
    rewards: tuple[Path, ...] = ()  # of either, for planners that choose from a vocabulary; the later store counts


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """A mixture in numbers."""

    chosen: Int[Array, " n"]  # rows of the examples, real ones first
    stratum: Int[Array, " n"]  # of each
    share: Float[Array, " s"]  # of each stratum in what is dealt
    real: int
    simulated: int


def mixed(examples: Examples, mixture: Mixture) -> Mixed:
    """Chooses what is taught. A larger share holds all of a smaller one.

    Args:
        examples: Real and simulated ones, in any order.
        mixture: What is wanted.

    Raises:
        BadInput: Nothing at all, or fewer simulated examples than asked for.
    """
    real = np.flatnonzero(~examples.is_sim)
    simulated = _simulated(examples, mixture, real=len(real))
    chosen = np.concatenate([real, simulated])
    if len(chosen) == 0:
        raise BadInput("mixture", "examples", "none", "at least one real or simulated example")
    stratum = strata_of(examples.status)
    return Mixed(
        chosen=chosen,
        stratum=stratum[chosen],
        share=_shares(stratum[real], stratum[simulated]),
        real=len(real),
        simulated=len(simulated),
    )


def strata_of(status: Float32[Array, "n 8"]) -> Int[Array, " n"]:
    """Stratum of each example: band of speed, then command."""
    band = np.searchsorted(SPEED_BOUNDS, np.hypot(status[:, 4], status[:, 5]), side="right")
    return (band * len(Command) + status[:, :4].argmax(axis=1)).astype(np.int64)


def _simulated(examples: Examples, mixture: Mixture, *, real: int) -> Int[Array, " n"]:
    """Simulated examples in the order in which a growing share takes them, cut where it ends."""
    able = [
        int(i)
        for i in np.flatnonzero(examples.is_sim)
        if (not mixture.experts or examples.expert[i] in mixture.experts)
        and (mixture.rounds is None or examples.round[i] < mixture.rounds)
    ]
    ordered = sorted(able, key=lambda i: hashlib.sha256(examples.token[i].encode()).digest())
    limit = None if mixture.simulated_per_real is None else round(mixture.simulated_per_real * real)
    if not mixture.expert_shares:
        return _first(ordered, len(ordered) if limit is None else limit, "simulated examples")
    total = sum(mixture.expert_shares.values())
    of = {name: [i for i in ordered if examples.expert[i] == name] for name in sorted(mixture.expert_shares)}
    if limit is None:  # as many as the scarcest allows
        limit = int(min(len(of[name]) * total / share for name, share in mixture.expert_shares.items()))
    wanted = {name: int(limit * share / total) for name, share in mixture.expert_shares.items()}
    return np.concatenate([_first(own, wanted[name], f"examples of the {name}") for name, own in of.items()])


def _first(ordered: Sequence[int], wanted: int, noun: str) -> Int[Array, " n"]:
    if wanted > len(ordered):
        raise BadInput(
            "mixture", "simulated_per_real", f"{wanted} {noun}", f"at most the {len(ordered)} that there are"
        )
    return np.array(ordered[:wanted], dtype=np.int64)


def _shares(real: Int[Array, " r"], simulated: Int[Array, " m"]) -> Float[Array, " s"]:
    """Shares of the strata: the real examples'; a stratum that they lack keeps its share in the whole."""
    of_real = np.bincount(real, minlength=STRATA).astype(np.float64)
    of_both = of_real + np.bincount(simulated, minlength=STRATA)
    if of_real.sum() == 0:
        return of_both / of_both.sum()
    share = np.where(of_real > 0, of_real / of_real.sum(), of_both / of_both.sum())
    return share / share.sum()


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Deals examples: what is dealt is a function of the seed and of a counter."""

    mixed: Mixed
    seed: int

    def rows(self, first: int, count: int) -> Int[Array, " count"]:
        """Rows (of the examples) dealt as numbers `first` to `first + count - 1`."""
        size = len(self.mixed.chosen)
        decks = range(first // size, (first + count - 1) // size + 1)
        dealt = np.concatenate([self._deck(number) for number in decks])
        begin = first - decks[0] * size
        return dealt[begin : begin + count]

    def _deck(self, number: int) -> Int[Array, " n"]:
        """One deck; quotas of the strata by largest remainder, so that every deck has the same."""
        quotas = quotas_of(self.mixed.share, len(self.mixed.chosen))
        parts = [
            _dealt(np.flatnonzero(self.mixed.stratum == s), int(quota), s, self.seed, number)
            for s, quota in enumerate(quotas)
        ]
        deck = self.mixed.chosen[np.concatenate(parts)]
        return deck[generator_of(self.seed, "deck", number).permutation(len(deck))]


def _dealt(members: Int[Array, " m"], quota: int, stratum: int, seed: int, number: int) -> Int[Array, " q"]:
    """The part of a deck that comes from one stratum: its passes, one after the other, cut into decks."""
    if quota == 0:
        return np.zeros(0, dtype=np.int64)
    begin, end = number * quota, (number + 1) * quota
    passes = range(begin // len(members), (end - 1) // len(members) + 1)
    order = [members[generator_of(seed, "stratum", stratum, p).permutation(len(members))] for p in passes]
    first = begin - passes[0] * len(members)
    return np.concatenate(order)[first : first + quota]


def quotas_of(share: Float[Array, " s"], size: int) -> Int[Array, " s"]:
    """Whole numbers in these proportions that add up to `size`."""
    exact = share * size
    quotas = np.floor(exact).astype(np.int64)
    missing = size - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:missing]] += 1
    return quotas


def with_folders(mixture: Mixture, base: Path) -> Mixture:
    """The mixture with its folders relative to `base`, as a recipe file means them."""
    return replace(
        mixture,
        real=tuple(base / folder for folder in mixture.real),
        simulated=tuple(base / folder for folder in mixture.simulated),
        rewards=tuple(base / folder for folder in mixture.rewards),
    )
