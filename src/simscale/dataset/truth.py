"""How near a reconstructed street comes to the truth, beside the drive and with agents where nobody was.

Only a world that was made up has a true image of every state: the town. Two renderers draw the same states of a
recorded scene, and one of them is believed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.dataset.example import lights_at, pose_of
from simscale.render import Image, Renderer
from simscale.render.psnr import psnr_of
from simscale.render.renderer import Channel
from simscale.scene import Scene, TrackKind, Tracks

Array = np.ndarray

LEAST_PIXELS = 80
"""Of a true mask that counts: smaller ones are mostly edge."""


@dataclass(frozen=True, kw_only=True)
class Reposed:
    """One agent in one image, moved to where it never was."""

    instant: int
    camera: str
    track: int
    kind: TrackKind
    pixels: int  # of the true mask
    iou: float  # of the masks


def images_from(
    scene: Scene,
    renderer: Renderer,
    instant: int,
    *,
    left: float = 0.0,
    tracks: Tracks | None = None,
    channels: tuple[Channel, ...] = ("rgb",),
) -> tuple[Image, ...]:
    """What the cameras of a recorded scene would have seen from elsewhere, or with others elsewhere.

    Args:
        scene: That `record` returned; one image for each of its cameras.
        renderer: Draws its location.
        instant: On the grid.
        left: How far left of its own place the car stands, m.
        tracks: Everybody else, [a 1]; as recorded where not said.
        channels: What is wanted; `instance` counts tracks.
    """
    pose = pose_of(scene, instant, scene.ego[instant])
    pose[:3, 3] += left * pose[:3, 1]
    others = scene.tracks.at(instant, instant + 1) if tracks is None else tracks
    return renderer.render(scene.cameras, pose, others, lights_at(scene, instant), channels=channels)


def shifted_psnr(scene: Scene, truth: Renderer, other: Renderer, instants: Iterable[int], *, left: float) -> float:
    """Mean PSNR over instants and cameras, dB, of images from beside the drive.

    Args:
        scene: A recorded one.
        truth: Draws its location as it is.
        other: What is judged.
        instants: On the grid.
        left: How far left of the drive the car stands, m; negative is right.
    """
    found = []
    for instant in instants:
        pairs = zip(
            images_from(scene, truth, instant, left=left), images_from(scene, other, instant, left=left), strict=True
        )
        found += [psnr_of(float(np.square((_colours(a) - _colours(b)) / 255).mean())) for a, b in pairs]
    return float(np.mean(found))


def reposed(
    scene: Scene, truth: Renderer, other: Renderer, instants: Iterable[int], *, aside: float, least_speed: float = 0.5
) -> list[Reposed]:
    """Agents that move, each drawn `aside` metres to the left of where it was.

    Args:
        scene: A recorded one.
        truth: Draws its location as it is.
        other: What is judged.
        instants: On the grid.
        aside: How far to its left an agent is moved, m; negative is right.
        least_speed: Of an agent that moves, m/s.

    Returns:
        One for each image of such an agent with at least 80 true pixels.
    """
    found = []
    for instant in instants:
        tracks = scene.tracks.at(instant, instant + 1)
        moving = tracks.valid[:, 0] & (tracks.speed[:, 0] > least_speed)
        moved = moved_aside(tracks, moving, aside)
        true = images_from(scene, truth, instant, tracks=moved, channels=("instance",))
        drawn = images_from(scene, other, instant, tracks=moved, channels=("instance",))
        for camera, theirs, mine in zip(scene.cameras.name, true, drawn, strict=True):
            assert theirs.instance is not None and mine.instance is not None
            for track in np.flatnonzero(moving):
                expected, got = theirs.instance == track, mine.instance == track
                if (pixels := int(expected.sum())) < LEAST_PIXELS:
                    continue
                iou = float((expected & got).sum() / (expected | got).sum())
                kind = TrackKind(int(tracks.kind[track]))
                found.append(
                    Reposed(instant=instant, camera=camera, track=int(track), kind=kind, pixels=pixels, iou=iou)
                )
    return found


def moved_aside(tracks: Tracks, which: Bool[Array, " a"], metres: float) -> Tracks:
    """The same agents, some of them so far to their own left."""
    yaw = tracks.yaw.astype(np.float64)
    left = np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
    xy = tracks.xy + np.where(which, metres, 0.0)[:, None, None] * left
    return replace(tracks, xy=xy.astype(tracks.xy.dtype))


def held_out_instants(scene: Scene, timestamp_us: Int[Array, " n"]) -> list[int]:
    """Grid instants at some times, each once."""
    return sorted({int(np.argmin(np.abs(scene.timestamp_us - when))) for when in timestamp_us})


def _colours(image: Image) -> Float[Array, "h w 3"]:
    assert image.rgb is not None, "colours were asked for"
    return image.rgb.astype(np.float64)
