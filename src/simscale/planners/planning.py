"""How any planner is asked: observations in, plans out, in batches; the same question gets the same answer.

A planner that draws noise draws it from the seed, the same for every sample: what is planned for a sample depends on
nothing but the sample and the seed, be it alone or in a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped
from torch import nn

from simscale.planners.registry import PLANNERS, PlannerKind, unit_rgb
from simscale.scene import BadInput, Plan

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What `b` cars see and are told."""

    rgb: Shaped[Array, "b 3 h w"]  # stitched cameras, uint8, or float in [0, 1]
    status: Shaped[Array, "b 8"]  # command (left, straight, right, unknown), velocity m/s, acceleration m/s^2
    lidar: Float32[Array, "b c n n"] | None = None  # histogram from above, for planners that have a LiDAR
    noise: Float32[Array, "b m t 2"] | None = None  # each sample's own, for planners that draw some; else by the seed

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.rgb)

    def part(self, begin: int, end: int) -> "Observations":
        """Some of the samples."""
        lidar, noise = (None if each is None else each[begin:end] for each in (self.lidar, self.noise))
        return Observations(rgb=self.rgb[begin:end], status=self.status[begin:end], lidar=lidar, noise=noise)


def kind_of(model: nn.Module) -> PlannerKind:
    """The kind of planner that a model is."""
    for kind in PLANNERS.values():
        if any(type(config) is type(model.config) for config in kind.presets.values()):
            return kind
    raise AssertionError(f"{type(model).__name__} is no planner")


def plan(
    model: nn.Module, observations: Observations, *, seed: int = 0, batch: int = 32, where: object = "observation"
) -> Plan:
    """Plans [b t] in the ego frame; the model is put into evaluation mode and stays there.

    On one thread the same observations give the same plans, to the bit where they come in the same batches.

    Args:
        model: A planner of `PLANNERS`.
        observations: Of at least one car.
        seed: Of the noise of planners that draw some.
        batch: Samples at once.
        where: What an error names.

    Raises:
        BadInput: The planner reads images of another size, or a LiDAR that is not there, or the reverse; or a number
            of the status is none.
    """
    _check(model, observations, where)
    model.eval()
    kind: PlannerKind = kind_of(model)
    with torch.inference_mode():
        parts = [
            _planned(model, kind, observations.part(begin, begin + batch), seed)
            for begin in range(0, len(observations), batch)
        ]
    poses = np.concatenate(parts).astype(np.float64)
    return Plan(xy=poses[..., :2], yaw=poses[..., 2], dt=float(model.config.pose_interval))  # type: ignore[union-attr]


def image_size(model: nn.Module) -> tuple[int, int]:
    """Height and width of the image that a planner reads."""
    height, width = model.config.trunk.image_size  # type: ignore[union-attr]
    return int(height), int(width)


def reads_lidar(model: nn.Module) -> bool:
    """Whether a planner needs a LiDAR."""
    return not model.config.trunk.latent  # type: ignore[union-attr]


def _planned(model: nn.Module, kind: PlannerKind, part: Observations, seed: int) -> Float[Array, "b t 3"]:
    device = next(model.parameters()).device
    rgb = unit_rgb(torch.from_numpy(np.ascontiguousarray(part.rgb)).to(device))
    given: list[Any] = [rgb, _tensor(part.status, device)]
    if part.lidar is not None:
        given.append(_tensor(part.lidar, device))
    named: dict[str, Any] = {"seed": seed} if kind.seeded else {}
    if kind.seeded and part.noise is not None:
        named["noise"] = _tensor(part.noise, device)
    return model(*given, **named).trajectory.cpu().numpy()


def _tensor(values: Array, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)


def _check(model: nn.Module, observations: Observations, where: object) -> None:
    size, found = image_size(model), observations.rgb.shape[-2:]
    if found != size:
        raise BadInput(where, "image", f"{found[0]} x {found[1]} pixels", f"{size[0]} x {size[1]}")
    if (observations.lidar is None) == reads_lidar(model):
        found_, wanted = ("absent", "a histogram") if observations.lidar is None else ("there", "images alone")
        raise BadInput(where, "LiDAR", found_, f"{wanted}, which this planner reads")
    if not np.isfinite(observations.status).all():
        raise BadInput(where, "status", "with what is not a number", "command, velocity, acceleration")
    assert len(observations) == len(observations.status) > 0


def stacked(parts: Sequence[Observations]) -> Observations:
    """Several observations as one batch; all have the same sensors."""
    lidar = [part.lidar for part in parts if part.lidar is not None]
    noise = [part.noise for part in parts if part.noise is not None]
    assert len(lidar) in (0, len(parts)) and len(noise) in (0, len(parts))
    return Observations(
        rgb=np.concatenate([part.rgb for part in parts]),
        status=np.concatenate([part.status for part in parts]),
        lidar=np.concatenate(lidar) if lidar else None,
        noise=np.concatenate(noise) if noise else None,
    )
