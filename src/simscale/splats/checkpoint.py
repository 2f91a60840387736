"""Checkpoints of a run: an asset with everything that training remembers, so that it goes on to the bit.

They say nothing of a device: a run that began on one may go on on another.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from simscale.scene import BadInput
from simscale.splats.adam import Momenta
from simscale.splats.cloud import Cloud
from simscale.splats.files_asset import Asset, is_asset, read_asset, write_asset
from simscale.splats.gaussians import Gaussians
from simscale.splats.row_adam import RowTable
from simscale.splats.training import Training

KIND = "checkpoint"
CLOUDS = ("world", "sky", "agents")
TABLES = ("exposure", "twist")


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a checkpoint says besides its arrays."""

    seconds: float  # of the run so far
    share: float  # of the run that was over


def write_checkpoint(folder: Path, training: Training, left: Left, *, key: str) -> None:
    """Writes or replaces it.

    Args:
        folder: Of the checkpoint alone.
        training: At rest between two steps.
        left: Time and share.
        key: Of source and settings; a run with another one does not go on from it.

    Raises:
        OSError: It cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name in CLOUDS:
        tensors |= _tensors_of(getattr(training, name), name)
    for name in TABLES:
        tensors |= getattr(training, name).tensors(name)
    counts = {"step": training.step, "resets": training.resets, "error": training.error}
    description = counts | {"seconds": left.seconds, "share": left.share, "key": key}
    write_asset(Asset(kind=KIND, description=description, tensors=tensors), folder)


def read_checkpoint(folder: Path, training: Training, *, key: str) -> Left | None:
    """Puts a run where it was; None where there is nothing to go on from.

    Raises:
        BadInput: It is damaged, or of another run.
    """
    if not is_asset(folder):
        return None
    asset = read_asset(folder, kind=KIND)
    said = asset.description
    if said.get("key") != key:
        raise BadInput(folder, "run", "of another source or other settings", "the same command, or another --out")
    tensors = {name: value.to(training.device) for name, value in asset.tensors.items()}
    try:
        for name in CLOUDS:
            setattr(training, name, _cloud_in(tensors, name))
        for name in TABLES:
            setattr(training, name, RowTable.read(tensors, name))
        training.step, training.resets = int(said["step"]), int(said["resets"])
        training.error = float(said["error"])
        left = Left(seconds=float(said["seconds"]), share=float(said["share"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(folder, "content", f"without {error}"[:80], "a checkpoint of this version") from None
    training.lay_out()
    return left


def _tensors_of(cloud: Cloud, prefix: str) -> dict[str, Tensor]:
    made = {f"{prefix}.value.{name}": value for name, value in cloud.gaussians.tensors().items()}
    made |= {f"{prefix}.first.{name}": value for name, value in cloud.momenta.first.items()}
    made |= {f"{prefix}.second.{name}": value for name, value in cloud.momenta.second.items()}
    return made | {f"{prefix}.{name}": getattr(cloud, name) for name in ("owner", "pull", "looks", "widest")}


def _cloud_in(tensors: dict[str, Tensor], prefix: str) -> Cloud:
    def named(kind: str) -> dict[str, Tensor]:
        start = f"{prefix}.{kind}."
        return {n.removeprefix(start): torch.clone(value) for n, value in tensors.items() if n.startswith(start)}

    rest = {name: tensors[f"{prefix}.{name}"].clone() for name in ("owner", "pull", "looks", "widest")}
    momenta = Momenta(first=named("first"), second=named("second"))
    return Cloud(gaussians=Gaussians(**named("value")), momenta=momenta, **rest)
