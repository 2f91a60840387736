"""Plans that someone hands in to be scored: an `.npz` of tokens and poses, or a submission as NAVSIM's servers take it.

An `.npz` holds `token [n]` (names) and `poses [n t 3]` (or `plan`, as `simscale evaluate` writes it): x, y and yaw in
the ego's frame, 8 every 0.5 s or 40 every 0.1 s. A submission is a pickle of NAVSIM's own classes; it is read as data,
and nothing in it is run (scoring.md 9.6).
"""

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from simscale.dataset.files import sha256_of
from simscale.ingest.safe_pickle import Record, read_pickle
from simscale.scene import BadInput, Plan

Array = np.ndarray

STEP_OF = {8: 0.5, 40: 0.1}
"""Seconds between poses, by their number: a plan is 4 s long."""
TRAJECTORY, SAMPLING = (
    "navsim.common.dataclasses.Trajectory",
    ("nuplan.planning.simulation.trajectory.trajectory_sampling.TrajectorySampling"),
)
"""Classes that a submission is made of."""
STAGES = {"first": "first_stage_predictions", "second": "second_stage_predictions", "v1": "predictions"}
ABOUT = ("team_name", "authors", "email", "institution", "country / region")
"""What a submission says of its makers."""


@dataclass(frozen=True, kw_only=True)
class Plans:
    """Plans by token, all of one length."""

    name: str
    token: tuple[str, ...]
    poses: Float[Array, "n t 3"]  # x, y, yaw in the ego's frame; m, rad
    second: frozenset[str]  # tokens that a submission holds for the second stage
    about: dict[str, Any]
    sha256: str  # of the file

    @property
    def dt(self) -> float:
        """Seconds between poses."""
        return STEP_OF[self.poses.shape[1]]

    def plan(self, row: int) -> Plan:
        """One of them, [t]."""
        return Plan(xy=self.poses[row, :, :2], yaw=self.poses[row, :, 2], dt=self.dt)


def read_plans(path: Path) -> Plans:
    """Plans from a file.

    Raises:
        BadInput: It is missing, damaged, of another kind, or names a token twice.
    """
    if not path.is_file():
        raise BadInput(path, "plans", "missing", "an .npz of tokens and poses, or a submission (.pkl)")
    if path.suffix == ".npz":
        token, poses, second, about = *_npz(path), frozenset[str](), {}
    elif path.suffix in (".pkl", ".pickle"):
        token, poses, second, about = _submission(path)
    else:
        raise BadInput(path, "plans", f"a {path.suffix or 'nameless'} file", "an .npz, or a submission (.pkl)")
    twice = len(token) - len(set(token))
    if twice:
        raise BadInput(path, "tokens", f"{twice} that stand twice", "one plan a token")
    return Plans(name=path.name, token=token, poses=poses, second=second, about=about, sha256=sha256_of(path))


def _npz(path: Path) -> tuple[tuple[str, ...], Float[Array, "n t 3"]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            names = {key: next((name for name in either if name in file.files), "") for key, either in KEYS.items()}
            missing = [either[0] for key, either in KEYS.items() if not names[key]]
            if missing:
                raise BadInput(path, "arrays", f"without {' and '.join(missing)}", "token [n] and poses [n t 3]")
            token, poses = (file[names[key]] for key in KEYS)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError) as error:
        raise BadInput(path, "file", f"damaged ({' '.join(str(error).split())[:80]})", "a whole .npz") from None
    if token.ndim != 1 or token.dtype.kind != "U":
        raise BadInput(path, "token", f"{token.dtype} of shape {token.shape}", "names, [n]")
    return tuple(token.tolist()), _checked(path, poses, len(token))


KEYS = {"token": ("token", "tokens"), "poses": ("poses", "plan")}
"""Arrays of an `.npz`, and their other names."""


def _checked(path: Path, poses: Array, count: int) -> Float[Array, "n t 3"]:
    """Poses in float64, of a length that is known."""
    good = poses.ndim == 3 and len(poses) == count and poses.shape[1] in STEP_OF and poses.shape[2] == 3
    if not good or poses.dtype.kind != "f":
        found = f"{poses.dtype} of shape {list(poses.shape)}"
        raise BadInput(path, "poses", found, f"numbers, [{count}, 8, 3] every 0.5 s or [{count}, 40, 3] every 0.1 s")
    return poses.astype(np.float64)


def _submission(path: Path) -> tuple[tuple[str, ...], Float[Array, "n t 3"], frozenset[str], dict[str, Any]]:
    held = read_pickle(path, records=(TRAJECTORY, SAMPLING))
    if not isinstance(held, dict) or not set(STAGES.values()) & set(held):
        raise BadInput(path, "submission", "without predictions", " or ".join(STAGES.values()))
    given: dict[str, Array] = {}
    second: set[str] = set()
    for key in STAGES.values():
        for token, trajectory in _predictions(path, key, held.get(key, [])):
            if token in given:
                raise BadInput(path, "tokens", f"{token} twice", "one plan a token")
            given[token] = _poses(path, token, trajectory)
            second |= {token} if key == STAGES["second"] else set()
    if not given:
        raise BadInput(path, "submission", "empty", "one plan a token")
    lengths = sorted({len(poses) for poses in given.values()})
    if len(lengths) > 1:
        raise BadInput(path, "poses", f"of {' and '.join(map(str, lengths))} steps", "one length in a file")
    about = {key: held[key] for key in ABOUT if isinstance(held.get(key), str | list)}
    return tuple(given), _checked(path, np.stack(list(given.values())), len(given)), frozenset(second), about


def _predictions(path: Path, key: str, seeds: object) -> Iterable[tuple[str, object]]:
    """Items of the one seed that a submission holds."""
    if isinstance(seeds, Sequence) and len(seeds) == 0:
        return ()
    if not isinstance(seeds, Sequence) or len(seeds) != 1 or not isinstance(seeds[0], dict):
        raise BadInput(path, key, type(seeds).__name__, "a list of one dictionary (exactly one seed)")
    items = seeds[0].items()
    if not all(isinstance(token, str) for token, _ in items):
        raise BadInput(path, key, "keyed by other things than tokens", "token -> Trajectory")
    return items


def _poses(path: Path, token: str, trajectory: object) -> Float[Array, "t 3"]:
    """Poses of a `Trajectory`, after a look at the times that it says it has."""
    if not isinstance(trajectory, Record) or trajectory.name != TRAJECTORY:
        raise BadInput(path, token, type(trajectory).__name__, "a Trajectory")
    poses, sampling = trajectory.fields.get("poses"), trajectory.fields.get("trajectory_sampling")
    if not isinstance(poses, np.ndarray) or poses.ndim != 2 or poses.shape[1] != 3 or poses.dtype.kind != "f":
        found = f"{poses.dtype} of shape {list(poses.shape)}" if isinstance(poses, np.ndarray) else type(poses).__name__
        raise BadInput(path, f"poses of {token}", found, "numbers [t, 3]")
    if isinstance(sampling, Record):
        step = sampling.fields.get("interval_length")
        if isinstance(step, float) and len(poses) in STEP_OF and abs(step - STEP_OF[len(poses)]) > 1e-9:
            raise BadInput(path, f"trajectory_sampling of {token}", f"{len(poses)} poses every {step} s", "4 s")
    return poses.astype(np.float64)
