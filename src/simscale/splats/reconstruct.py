"""Reconstruction from beginning to end: a capture becomes a street, and is scored where it was never looked at.

On a CPU a run of so many steps gives the same bytes whether or not it was cut off and went on. With a budget of minutes
its phases follow the time instead, and it takes as many steps as fit. CUDA adds in another order each time.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from simscale.render.psnr import psnr_of
from simscale.scene import BadInput
from simscale.splats.capture import Capture
from simscale.splats.capture_points import owners
from simscale.splats.capture_scale import sized
from simscale.splats.checkpoint import Left, read_checkpoint, write_checkpoint
from simscale.splats.held_out import Perceptual, Score, scored
from simscale.splats.pictures import pictures_of
from simscale.splats.settings import ReconstructSettings
from simscale.splats.street import Street
from simscale.splats.street_start import start_of, street_of
from simscale.splats.training import CPU, Lesson, Training, lessons_of

Array = np.ndarray

MOST_STEPS = 100_000
"""Of a run with a budget of minutes (ours)."""


@dataclass(frozen=True, kw_only=True)
class News:
    """What is worth telling while it goes on."""

    phase: str  # "start", "train", "score"
    done: int
    total: int
    share: float  # of the training
    psnr: float | None  # of the last few training pictures, dB
    gaussians: int
    seconds: float  # since the run began, those before an interruption included


Tell = Callable[[News], None]


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What came of it."""

    street: Street
    score: Score
    training_psnr: float
    steps: int
    seconds: float
    scale: float  # m, or what passes for them, of one unit of the source
    start: str  # where the first points came from
    start_points: int
    held_out: tuple[Lesson, ...]  # with which it was scored


def key_of(capture: Capture, settings: ReconstructSettings) -> str:
    """Tells runs of other sources or settings apart."""
    frames = capture.frames
    said = json.dumps([capture.name, capture.form, asdict(settings), [path.name for path in frames.path]], default=str)
    arrays = [frames.world_from_camera, frames.intrinsics, frames.distortion, frames.held_out, capture.sweeps.xyz]
    digest = hashlib.sha256(said.encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def reconstruct(
    capture: Capture,
    settings: ReconstructSettings,
    *,
    clock: Callable[[], float],
    device: torch.device = CPU,
    kept: Path | None = None,
    perceptual: Perceptual | None = None,
    tell: Tell = lambda news: None,
) -> Reconstruction:
    """Makes a street of a capture.

    Args:
        capture: Photographs, and what else there is.
        settings: Numbers.
        clock: Seconds from any origin; a budget of minutes is in its time.
        device: Where it trains; scoring is on the CPU, as drawing will be.
        kept: Folder for checkpoints; a run that finds one of its own goes on from it.
        perceptual: Measures LPIPS, where a user has its weights.
        tell: Told how far it is.

    Raises:
        BadInput: No photograph is left to train on, one is damaged, or the checkpoint is of another run.
        OSError: A checkpoint cannot be written.
    """
    began = clock()
    capture, scale = sized(capture)
    train = np.flatnonzero(~capture.frames.held_out).tolist()
    if not train:
        raise BadInput(capture.name, "photographs", "none to train on", "some that are not held out")
    start = start_of(capture, settings)
    owner = owners(capture)
    total, done = len(capture.frames), 0

    def loaded() -> None:
        nonlocal done
        done += 1
        tell(News(phase="start", done=done, total=total, share=0.0, psnr=None, gaussians=0, seconds=clock() - began))

    pictures = pictures_of(capture, train, width=settings.width, owner=owner, masked=start.masked, on_each=loaded)
    street = street_of(capture, start, pictures, train, settings)
    training = Training(street, lessons_of(capture, train, pictures, street.clouds.present), settings, device)
    seconds = _trained(training, settings, key_of(capture, settings), clock, began, kept, tell)
    result = training.result()

    held = np.flatnonzero(capture.frames.held_out).tolist()
    seen = pictures_of(capture, held, width=settings.width, owner=owner, masked=start.masked, on_each=loaded)
    lessons = tuple(
        replace(lesson, camera_from_world=torch.from_numpy(pose).float())
        for lesson, pose in zip(
            lessons_of(capture, held, seen, street.clouds.present),
            _corrected(capture, held, train, training),
            strict=True,
        )
    )
    return Reconstruction(
        street=result,
        score=scored(result, lessons, near=settings.near_plane, perceptual=perceptual),
        training_psnr=psnr_of(training.error),
        steps=training.step,
        seconds=seconds,
        scale=scale,
        start=start.method,
        start_points=len(start.xyz) + len(start.agent_xyz),
        held_out=lessons,
    )


def _trained(
    training: Training,
    settings: ReconstructSettings,
    key: str,
    clock: Callable[[], float],
    began: float,
    kept: Path | None,
    tell: Tell,
) -> float:
    """Takes all steps; returns the seconds of the run, those before an interruption included."""
    left = None if kept is None else read_checkpoint(kept, training, key=key)
    before = 0.0 if left is None else left.seconds
    loading = clock() - began if left is not None else 0.0  # was counted when the run began first
    budget = None if settings.budget_minutes is None else settings.budget_minutes * 60
    share = 0.0 if left is None else left.share
    total = settings.steps if budget is None else MOST_STEPS
    saved = clock()
    while training.step < total:
        seconds = before + clock() - began - loading
        share = max(share, training.step / total if budget is None else seconds / budget)
        if share >= 1:
            break
        training.learn(share)
        if training.step % 10 == 0:
            tell(
                News(
                    phase="train",
                    done=training.step,
                    total=total,
                    share=share,
                    psnr=psnr_of(training.error),
                    gaussians=len(training),
                    seconds=seconds,
                )
            )
        due = training.step % settings.save_every == 0 or clock() - saved > settings.save_seconds
        if kept is not None and due:
            write_checkpoint(kept, training, Left(seconds=seconds, share=share), key=key)
            saved = clock()
    return before + clock() - began - loading


def _corrected(capture: Capture, held: list[int], train: list[int], training: Training) -> list[Float[Array, "4 4"]]:
    """Poses of held-out photographs, moved as training moved the nearest one of their camera."""
    frames = capture.frames
    after = training.world_from_camera()
    made = []
    for frame in held:
        like = [i for i, t in enumerate(train) if frames.camera[t] == frames.camera[frame]]
        like = [i for i in like if frames.traversal[train[i]] == frames.traversal[frame]]
        pose = np.linalg.inv(frames.world_from_camera[frame])
        if like:
            near = min(like, key=lambda i: abs(int(frames.timestamp_us[train[i]]) - int(frames.timestamp_us[frame])))
            pose = np.linalg.inv(after[near]) @ frames.world_from_camera[train[near]] @ pose
        made.append(pose)
    return made


def as_plain(settings: ReconstructSettings) -> dict[str, Any]:
    """Settings as JSON."""
    return json.loads(json.dumps(asdict(settings)))
