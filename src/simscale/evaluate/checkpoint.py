"""A trained planner as an agent: the renderer draws what its cameras see at each start, logged or not.

Images depend on the start alone, so they are kept beside the split, and the next checkpoint finds them drawn.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from simscale.dataset.example import planner_input, view_of
from simscale.dataset.files import write_new
from simscale.dataset.renderers import RENDERERS
from simscale.dataset.sensors import SENSORS
from simscale.dataset.streets import check_apart, street_of
from simscale.evaluate.starts import Split, Start
from simscale.planners.checkpoint import CheckpointInfo, read_checkpoint
from simscale.planners.planning import Observations, plan
from simscale.scene import BadInput, Plan

Array = np.ndarray

RENDERER = "raycast"
MAX_KEPT_BYTES = 600_000_000
"""Images of a split that take more than this are not kept."""


class Checkpoint:
    """Plans from images; see `Agent`."""

    def __init__(self, path: Path, split: Split, folder: Path, *, name: str):
        """Reads a checkpoint.

        Args:
            path: What `simscale train` wrote.
            split: Where it will be evaluated.
            folder: Where the split's scenes and sceneries lie; images are kept there too.
            name: What tables call it.

        Raises:
            BadInput: No checkpoint, one that needs more than images, or one that was trained on the split's streets.
        """
        model, self.info = read_checkpoint(path)
        trained = self.info.training.get("streets", ())
        check_apart(trained, {street_of(scene) for scene in split.scenes}, where=split.name)
        self.name = name
        self._model = model
        self._folder = folder
        self._seen = {start.token: n for n, start in enumerate(split.starts)}
        self._pictures = Pictures(folder, len(split.starts), size_of(path, self.info), digest=split.digest)

    def plan(self, starts: Sequence[Start]) -> Plan:
        """Plans of 4 s: 8 poses, or 40 where the planner chooses from a vocabulary."""
        seen = [self.see(start) for start in starts]
        rgb, status = np.stack([image for image, _ in seen]), np.stack([told for _, told in seen])
        return plan(self._model, Observations(rgb=rgb, status=status), batch=len(starts))

    def see(self, start: Start) -> tuple[UInt8[Array, "3 h w"], Float32[Array, "8"]]:
        """What the planner reads of a start: the stitched image, and the status."""
        known = self._pictures.get(self._seen[start.token])
        if known is not None:
            return known
        renderer = RENDERERS[RENDERER](start.scene, self._folder, rays=SENSORS["ltf"].rays)
        rgb, status = planner_input(
            renderer,
            view_of(start.scene, self._pictures.size),
            start.scene,
            instant=start.instant,
            state=start.ego,
            tracks=start.tracks,
        )
        self._pictures.put(self._seen[start.token], rgb, status)
        return rgb, status

    def close(self) -> None:
        """Keeps the images for the next checkpoint."""
        self._pictures.write()


class Pictures:
    """The planner's inputs at a split's starts, filled as they are drawn, kept on disk where they are not too many."""

    def __init__(self, folder: Path, count: int, size: tuple[int, int], *, digest: str):
        """Reads what an earlier evaluation drew, if it drew all, and of the same starts."""
        height, width = size
        self.size, self._digest = size, digest
        self._path = folder / f"images-{RENDERER}-{height}x{width}.npz"
        self._kept = count * 3 * height * width <= MAX_KEPT_BYTES
        self._written = False
        self._drawn = np.zeros(count, dtype=bool)
        self._rgb = np.zeros((count if self._kept else 0, 3, height, width), dtype=np.uint8)
        self._status = np.zeros((count, 8), dtype=np.float32)
        self._read()

    def get(self, n: int) -> tuple[UInt8[Array, "3 h w"], Float32[Array, "8"]] | None:
        """What was drawn of a start."""
        return (self._rgb[n], self._status[n]) if self._drawn[n] else None

    def put(self, n: int, rgb: UInt8[Array, "3 h w"], status: Float32[Array, "8"]) -> None:
        """Remembers what was drawn."""
        if self._kept:
            self._rgb[n], self._status[n], self._drawn[n] = rgb, status, True

    def write(self) -> None:
        """Keeps them, once all are there."""
        if self._kept and self._drawn.all() and not self._written:
            path, _, _ = write_new(self._path.parent, f".{self._path.name}", [])
            with path.open("wb") as file:
                np.savez(file, allow_pickle=False, rgb=self._rgb, status=self._status, digest=np.array(self._digest))
            path.replace(self._path)
            self._written = True

    def _read(self) -> None:
        try:
            with np.load(self._path, allow_pickle=False) as file:
                rgb, status, digest = file["rgb"], file["status"], str(file["digest"])
        except (OSError, ValueError, KeyError):
            return
        if self._kept and rgb.shape == self._rgb.shape and digest == self._digest:
            self._rgb, self._status, self._written = rgb, status, True
            self._drawn[:] = True


def size_of(path: Path, info: CheckpointInfo) -> tuple[int, int]:
    """Height and width of the planner's image.

    Raises:
        BadInput: The planner reads more than images.
    """
    trunk = info.config.trunk
    if not trunk.latent:
        raise BadInput(path, "planner", f"{info.planner} {info.preset} with LiDAR", "one that reads images alone")
    height, width = trunk.image_size
    return int(height), int(width)
