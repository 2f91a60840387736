"""Streets on disk: one asset folder each, see `files_asset`."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simscale.scene import BadInput
from simscale.splats.capture import Agents
from simscale.splats.files_asset import Asset, gaussians_in, read_asset, tensors_of, write_asset
from simscale.splats.street import AgentClouds, Drive, Exposures, Street

KIND = "street"


def write_street(street: Street, folder: Path, *, made: dict[str, Any]) -> str:
    """Writes a street.

    Args:
        street: The reconstruction.
        folder: Of the asset.
        made: How it was made and how good it is; plain data.

    Returns:
        The digest of its arrays.

    Raises:
        OSError: It cannot be written.
    """
    agents = street.agents
    tensors: dict[str, Tensor] = tensors_of(street.world, "world") | tensors_of(street.sky, "sky")
    tensors |= tensors_of(street.clouds.gaussians, "agents")
    tensors |= {
        "agents.agent": street.clouds.agent,
        "agents.mirrored": torch.from_numpy(street.clouds.mirrored),
        "boxes.kind": torch.from_numpy(np.asarray(agents.kind, dtype=np.int64)),
        "boxes.size": torch.from_numpy(np.asarray(agents.size, dtype=np.float64)),
        "boxes.timestamp_us": torch.from_numpy(np.asarray(agents.timestamp_us, dtype=np.int64)),
        "boxes.world_from_box": torch.from_numpy(np.asarray(agents.world_from_box, dtype=np.float64)),
        "boxes.valid": torch.from_numpy(agents.valid),
        "exposures.affine": street.exposures.affine,
        **{f"drive.{field.name}": torch.from_numpy(getattr(street.drive, field.name)) for field in fields(Drive)},
    }
    names = {"name": street.name, "agents": list(agents.id), "cameras": list(street.exposures.camera)}
    return write_asset(
        Asset(kind=KIND, description=names | {"made": json.loads(json.dumps(made))}, tensors=tensors), folder
    )


def read_street(folder: Path) -> tuple[Street, dict[str, Any]]:
    """Reads a street, and how it was made.

    Raises:
        BadInput: It is missing or damaged, or its arrays do not belong together.
    """
    asset = read_asset(folder, kind=KIND)
    tensors, said = asset.tensors, asset.description
    try:
        arrays = {name: value.numpy() for name, value in tensors.items() if name.startswith(("boxes.", "drive."))}
        street = Street(
            name=str(said["name"]),
            world=gaussians_in(tensors, "world", where=folder),
            sky=gaussians_in(tensors, "sky", where=folder),
            clouds=AgentClouds(
                gaussians=gaussians_in(tensors, "agents", where=folder),
                agent=tensors["agents.agent"],
                mirrored=tensors["agents.mirrored"].numpy(),
            ),
            agents=Agents(
                id=tuple(map(str, said["agents"])),
                **{
                    name: arrays[f"boxes.{name}"]
                    for name in ("kind", "size", "timestamp_us", "world_from_box", "valid")
                },
            ),
            exposures=Exposures(camera=tuple(map(str, said["cameras"])), affine=tensors["exposures.affine"]),
            drive=Drive(**{field.name: arrays[f"drive.{field.name}"] for field in fields(Drive)}),
        )
        made = dict(said["made"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(folder, "content", f"without {error}"[:80], "what simscale reconstruct writes") from None
    _check(street, folder)
    return street, made


def _check(street: Street, folder: Path) -> None:
    """Sizes that must agree."""
    count, agents, clouds = len(street.agents), street.agents, street.clouds
    steps, drive, photographs = len(agents.timestamp_us), street.drive, len(street.drive.camera)
    whose = clouds.agent
    facts = {
        "boxes": agents.kind.shape == (count,) and agents.size.shape == (count, 3),
        "boxes over time": agents.world_from_box.shape == (count, steps, 4, 4) and agents.valid.shape == (count, steps),
        "agents.mirrored": clouds.mirrored.shape == (count,) and clouds.mirrored.dtype == bool,
        "agents.agent": whose.shape == (len(clouds.gaussians),) and whose.dtype == torch.int64,
        "exposures.affine": street.exposures.affine.ndim == 4
        and street.exposures.affine.shape[::2] == (len(street.exposures.camera), 3)
        and street.exposures.affine.shape[3] == 4,
        "drive": drive.world_from_camera.shape == (photographs, 4, 4)
        and drive.traversal.shape == drive.timestamp_us.shape == (photographs,)
        and drive.world_from_ego.shape == (len(drive.ego_us), 4, 4),
    }
    if facts["agents.agent"] and len(whose):
        facts["agents.agent"] = bool((whose.diff() >= 0).all()) and int(whose[0]) >= 0 and int(whose[-1]) < count
    for field, holds in facts.items():
        if not holds:
            raise BadInput(folder, field, "of another size or order", "arrays that belong together")
