"""What a training reads: rendered examples, dealt as its mixture says, and checked against what the planner wants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from simscale.dataset.loading import Examples, concatenated, read_examples, rendered_manifest
from simscale.dataset.manifest import read_manifest
from simscale.dataset.mixture import Mixed, Sampler, mixed
from simscale.dataset.streets import check_apart, streets_in
from simscale.planners import PLANNERS, LtfTargets, unit_rgb
from simscale.planners.checkpoint import STITCHED_CAMERAS, read_state
from simscale.planners.gtrs_loss import GtrsTargets
from simscale.scene import BadInput
from simscale.train.config import TrainConfig
from simscale.train.teaching import Teaching, targets_of, teaching_of
from simscale.train.words import Words, found_words, words_of

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
    words: Words | None  # what the planner chooses from, if it does
    teaching: Teaching  # what the examples teach beside what they hold
    validation_teaching: Teaching | None


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
    validation = _read(config.validation, config)
    words = _words(config)
    return TrainingData(
        examples=examples,
        mixed=chosen,
        sampler=Sampler(mixed=chosen, seed=config.seed),
        validation=validation,
        streets=tuple(sorted(streets)),
        inputs=tuple(_inputs(config, words)),
        words=words,
        teaching=teaching_of(config, examples, words),
        validation_teaching=None if validation is None else teaching_of(config, validation, words),
    )


def _words(config: TrainConfig) -> Words | None:
    """What the planner chooses from: what it starts with, or a vocabulary file."""
    kind = PLANNERS[config.planner]
    if not kind.chooses:
        return None
    if config.initial is None:
        return words_of(config.vocabulary, size=kind.presets[config.preset].vocabulary)
    poses = read_state(config.initial)[kind.vocabulary].numpy()
    if config.mixture.rewards:
        return found_words(config.vocabulary, poses)
    return Words(poses=poses, row=np.arange(len(poses)), name=config.initial.name, sha256="")


def _inputs(config: TrainConfig, words: Words | None) -> Iterator[dict[str, Any]]:
    mixture = config.mixture
    for folder in (*mixture.real, *mixture.simulated, *config.validation):
        yield {"folder": str(folder.resolve()), "digest": rendered_manifest(folder).digest}
    for folder in mixture.rewards:
        yield {"folder": str(folder.resolve()), "digest": read_manifest(folder).digest}
    if words is not None and words.sha256:
        yield {"vocabulary": words.name, "sha256": words.sha256}


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


def batch_of(
    examples: Examples, rows: Int[Array, " b"], teaching: Teaching, *, planner: str
) -> tuple[Tensor, Tensor, LtfTargets | GtrsTargets]:
    """Images, status and targets of some examples, as a planner and its loss read them."""
    rgb = unit_rgb(torch.from_numpy(examples.rgb(rows))).contiguous(memory_format=torch.channels_last)
    targets = targets_of(examples, rows, teaching, planner=planner)
    return rgb, torch.from_numpy(examples.status[rows]), targets
