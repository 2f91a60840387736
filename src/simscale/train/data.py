"""What a training reads: rendered examples, dealt as its mixture says, and checked against what the planner wants."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from simscale.dataset.loading import Examples, concatenated, read_examples, rendered_manifest
from simscale.dataset.mixture import Mixed, Sampler, mixed
from simscale.dataset.streets import check_apart, streets_in
from simscale.planners import PLANNERS, LtfTargets, unit_rgb
from simscale.planners.checkpoint import STITCHED_CAMERAS
from simscale.scene import BadInput
from simscale.train.config import TrainConfig

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Everything in memory, and where it came from."""

    examples: Examples
    mixed: Mixed
    sampler: Sampler
    validation: Examples | None
    streets: tuple[str, ...]  # of the training
    inputs: tuple[dict[str, Any], ...]  # folder and digest of everything that was read


def training_data(config: TrainConfig) -> TrainingData:
    """Reads and mixes what a training is about.

    Raises:
        BadInput: A folder that is no rendered dataset, real examples among the simulated or the reverse, an empty
            mixture, another size or other cameras than the planner wants, or streets that training and test share.
    """
    mixture = config.mixture
    streets = {street for folder in (*mixture.real, *mixture.simulated) for street in streets_in(folder)}
    for folder in (*config.validation, *config.test):
        check_apart(streets, streets_in(folder), where=folder)
    real, simulated = (_read(folders, config) for folders in (mixture.real, mixture.simulated))
    for part, is_sim, folders in ((real, False, mixture.real), (simulated, True, mixture.simulated)):
        if part is not None and (part.is_sim != is_sim).any():
            named = ", ".join(str(folder) for folder in folders)
            found, wanted = ("real", "simulated") if is_sim else ("simulated", "real")
            raise BadInput(named, "examples", f"partly {found}", f"{wanted} ones alone")
    parts = [part for part in (real, simulated) if part is not None]
    if not parts or sum(len(part) for part in parts) == 0:
        raise BadInput(f"recipe {config.name}".strip(), "mixture", "empty", "at least one example")
    examples = concatenated(parts)
    chosen = mixed(examples, mixture)
    read = (*mixture.real, *mixture.simulated, *config.validation)
    return TrainingData(
        examples=examples,
        mixed=chosen,
        sampler=Sampler(mixed=chosen, seed=config.seed),
        validation=_read(config.validation, config),
        streets=tuple(sorted(streets)),
        inputs=tuple({"folder": str(f.resolve()), "digest": rendered_manifest(f).digest} for f in read),
    )


def image_size(config: TrainConfig) -> tuple[int, int]:
    """Height and width of the planner's image."""
    return tuple(PLANNERS[config.planner].presets[config.preset].trunk.image_size)


def _read(folders: Sequence[Path], config: TrainConfig) -> Examples | None:
    for folder in folders:
        cameras = tuple(rendered_manifest(folder).configuration["sensors"]["cameras"])
        lacking = [name for name in STITCHED_CAMERAS if name not in cameras]
        if lacking:
            found = f"{', '.join(cameras)} without {', '.join(lacking)}"
            raise BadInput(folder, "cameras", found, f"those that {config.planner} {config.preset} sees")
    return concatenated([read_examples(f, size=image_size(config)) for f in folders]) if folders else None


def batch_of(examples: Examples, rows: Int[Array, " b"]) -> tuple[Tensor, Tensor, LtfTargets]:
    """Images, status and targets of some examples, as a planner and its loss read them."""
    rgb = unit_rgb(torch.from_numpy(examples.rgb(rows))).contiguous(memory_format=torch.channels_last)
    targets = LtfTargets(
        trajectory=torch.from_numpy(examples.trajectory[rows]),
        agent_states=torch.from_numpy(examples.agent_states[rows]),
        agent_labels=torch.from_numpy(examples.agent_labels[rows]),
        bev_semantic=torch.from_numpy(examples.bev_semantic[rows]),
    )
    return rgb, torch.from_numpy(examples.status[rows]), targets
