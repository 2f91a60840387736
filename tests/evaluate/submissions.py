"""Submissions as NAVSIM's own scripts pickle them: objects of classes that exist only while they are written."""

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

PLACES = {
    "Trajectory": "navsim.common.dataclasses",
    "TrajectorySampling": "nuplan.planning.simulation.trajectory.trajectory_sampling",
}


@contextmanager
def classes() -> Iterator[dict[str, type]]:
    """The two classes, importable inside the block."""
    made, modules = {}, {}
    for name, place in PLACES.items():
        made[name] = type(name, (), {"__module__": place})
        parts = place.split(".")
        for n in range(1, len(parts) + 1):
            modules.setdefault(".".join(parts[:n]), ModuleType(".".join(parts[:n])))
        setattr(modules[place], name, made[name])
    sys.modules.update(modules)
    try:
        yield made
    finally:
        for module in modules:
            del sys.modules[module]


def with_fields(kind: type, **fields: object) -> Any:
    thing = kind()
    thing.__dict__.update(fields)
    return thing


def write_submission(
    path: Path,
    first: dict[str, np.ndarray],
    second: dict[str, np.ndarray] | None = None,
    *,
    key: str = "first_stage_predictions",
    seeds: int = 1,
    protocol: int = 4,
    interval: float = 0.5,
    more: dict[str, object] | None = None,
) -> Path:
    """A `submission.pkl` of poses by token."""
    with classes() as known:

        def predictions(poses: dict[str, np.ndarray]) -> list[dict[str, object]]:
            sampling = with_fields(known["TrajectorySampling"], num_poses=8, time_horizon=4.0, interval_length=interval)
            trajectories = {
                token: with_fields(known["Trajectory"], poses=rows.astype(np.float32), trajectory_sampling=sampling)
                for token, rows in poses.items()
            }
            return [trajectories] * seeds

        held: dict[str, object] = {
            "team_name": "town",
            "authors": ["somebody"],
            "email": "somebody@example.org",
            "institution": "nowhere",
            "country / region": "none",
            key: predictions(first),
        }
        if second is not None:
            held["second_stage_predictions"] = predictions(second)
        path.write_bytes(pickle.dumps(held | (more or {}), protocol=protocol))
    return path
