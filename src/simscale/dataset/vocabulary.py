"""Vocabulary files: a bare `.npy` array of trajectories, as NAVSIM publishes them, and the one that ships with us."""

import hashlib
import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from tokenize import TokenError

import numpy as np
from jaxtyping import Float

from simscale.dataset.files import write_whole
from simscale.perturb.vocabulary import STEPS, Vocabulary, vocabulary_of
from simscale.scene import BadInput

Array = np.ndarray

MAX_BYTES = 1_000_000_000
"""Larger files are refused unread; 16,384 trajectories are 8 MB."""

SHIPPED = "town_vocabulary.npy"
"""K-means centres of the town's own drivers; docs/LOG.md has the command that made it."""


@dataclass(frozen=True, kw_only=True)
class Trajectories:
    """All trajectories of a vocabulary file, in its order."""

    poses: Float[Array, "v 40 3"]  # x, y, yaw every 0.1 s in the ego frame, the first after 0.1 s; m, rad
    name: str  # of the file
    sha256: str  # of its content


def read_vocabulary(path: Path | None) -> Vocabulary:
    """Reads `[v 40 3]` poses, and leaves out what drives backwards; the shipped ones where no path is given.

    Raises:
        BadInput: As `read_trajectories`, or everything drives backwards.
    """
    read = read_trajectories(path)
    vocabulary = vocabulary_of(read.poses.astype(np.float64), name=read.name, sha256=read.sha256)
    if not len(vocabulary.row):
        found = f"backwards in all {len(read.poses)} trajectories"
        raise BadInput(path or read.name, "direction", found, "some that drive forwards")
    return vocabulary


def read_trajectories(path: Path | None) -> Trajectories:
    """Reads `[v 40 3]` poses; the shipped ones where no path is given.

    Raises:
        BadInput: It is missing, damaged, of another shape, or holds what is not a number.
    """
    if path is None:
        path = Path(str(resources.files("simscale.perturb") / SHIPPED))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(path, "size", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(path, "file", "missing", f"a .npy array [v, {STEPS}, 3]") from None
    try:
        poses = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TokenError, MemoryError) as error:
        raise BadInput(path, "file", f"unreadable ({error})", f"a .npy array [v, {STEPS}, 3]") from error
    if poses.ndim != 3 or poses.shape[1:] != (STEPS, 3) or not len(poses):
        raise BadInput(path, "shape", poses.shape, f"(v, {STEPS}, 3)")
    if poses.dtype.kind != "f":
        raise BadInput(path, "type", poses.dtype, "floats")
    if not np.isfinite(poses).all():
        bad = np.flatnonzero(~np.isfinite(poses).all(axis=(1, 2)))[0]
        raise BadInput(path, f"trajectory {bad}", "with what is not a number", "finite numbers")
    return Trajectories(poses=poses, name=path.name, sha256=hashlib.sha256(content).hexdigest())


def write_vocabulary(poses: Float[Array, "v 40 3"], path: Path) -> None:
    """Writes trajectories, whole or not at all."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, poses.astype("<f4"), version=(1, 0), allow_pickle=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, stream.getvalue())
