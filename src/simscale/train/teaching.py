"""Who teaches what: of each example, whether its drive is imitated, and what a simulator says of each trajectory.

Together these make the settings of a co-training: simulated examples with a pseudo-expert's drive, simulated examples
with rewards only, or real examples alone for what is auxiliary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int

from simscale.dataset.loading import Examples
from simscale.dataset.rewards import RewardStore, open_rewards
from simscale.planners import PLANNERS, LtfTargets
from simscale.planners.gtrs_head import METRICS
from simscale.planners.gtrs_loss import GtrsTargets
from simscale.train.config import TrainConfig
from simscale.train.words import Words

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """What `n` examples teach beside what they hold themselves."""

    imitate: Bool[Array, " n"]
    auxiliary: Bool[Array, " n"]
    store: Int[Array, " n"]  # that holds an example's rewards; -1: nobody scored it
    stores: tuple[RewardStore, ...]
    column: Int[
        Array, " v"
    ]  # of each trajectory that the planner chooses from, in the stores; empty: it does not choose

    def rewards(self, examples: Examples, rows: Int[Array, " b"]) -> Float32[Array, "b m v"]:
        """Rewards of some examples' trajectories, in the order of `METRICS`; zeros where there are none."""
        held = np.zeros((len(rows), len(METRICS), len(self.column)), dtype=np.float32)
        for number, store in enumerate(self.stores):
            among = np.flatnonzero(self.store[rows] == number)
            if len(among):
                read = store.read([examples.token[row] for row in rows[among]])
                for place, name in enumerate(METRICS):
                    held[among, place] = getattr(read, name)[:, self.column]
        return held


def teaching_of(config: TrainConfig, examples: Examples, words: Words | None) -> Teaching:
    """What the examples teach under a recipe.

    Args:
        config: The training.
        examples: Real, simulated or both.
        words: What the planner chooses from; None where it does not choose.

    Raises:
        BadInput: A store of rewards that is none, or for another vocabulary.
    """
    everyone = np.ones(len(examples), dtype=bool)
    stores = () if words is None else tuple(_opened(config, words))
    return Teaching(
        imitate=~examples.is_sim if config.imitate == "real" else everyone,
        auxiliary=~examples.is_sim if config.auxiliary_from == "real" else everyone,
        store=_stores_of(config, examples, stores),
        stores=stores,
        column=np.zeros(0, dtype=np.int64) if words is None else words.row,
    )


def targets_of(
    examples: Examples, rows: Int[Array, " b"], teaching: Teaching, *, planner: str
) -> LtfTargets | GtrsTargets:
    """What some examples teach a planner."""
    trajectory = torch.from_numpy(examples.trajectory[rows])
    imitate = torch.from_numpy(teaching.imitate[rows])
    if PLANNERS[planner].chooses:
        return GtrsTargets(
            trajectory=trajectory,
            rewards=torch.from_numpy(teaching.rewards(examples, rows)) if teaching.stores else None,
            imitate=imitate,
            rewarded=torch.from_numpy(teaching.store[rows] >= 0),
        )
    return LtfTargets(
        trajectory=trajectory,
        agent_states=torch.from_numpy(examples.agent_states[rows]),
        agent_labels=torch.from_numpy(examples.agent_labels[rows]),
        bev_semantic=torch.from_numpy(examples.bev_semantic[rows]),
        imitate=imitate,
        auxiliary=torch.from_numpy(teaching.auxiliary[rows]),
    )


def counts_of(teaching: Teaching, chosen: Int[Array, " c"]) -> Mapping[str, int]:
    """How many of the examples that are dealt are imitated, and how many have rewards."""
    return {"imitated": int(teaching.imitate[chosen].sum()), "rewarded": int((teaching.store[chosen] >= 0).sum())}


def _opened(config: TrainConfig, words: Words) -> Sequence[RewardStore]:
    return [open_rewards(folder, vocabulary_sha256=words.sha256) for folder in config.mixture.rewards]


def _stores_of(config: TrainConfig, examples: Examples, stores: Sequence[RewardStore]) -> Int[Array, " n"]:
    """The last store that holds each example."""
    found = np.full(len(examples), -1, dtype=np.int64)
    for number, store in enumerate(stores):
        early = config.legacy_last_round_only and number + 1 < len(stores)
        holds = np.array([token in store.place for token in examples.token], dtype=bool)
        found[holds & ~(early & examples.is_sim)] = number
    return found
