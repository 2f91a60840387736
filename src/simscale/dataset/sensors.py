"""Sensors: which cameras are rendered, in what size, and how their images are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from simscale.dataset.example import lights_at, pose_of, rig_of, view_of
from simscale.dataset.moment import Moment
from simscale.render import Image, Renderer, Trust, joined_trust, scaled, stitched
from simscale.render.panorama import PLANNER_CAMERAS
from simscale.render.rigs import chosen
from simscale.scene import BadInput, Scene

Array = np.ndarray

QUALITY = 90
"""Of JPEG (4:2:0); dependencies.md has the table."""


@dataclass(frozen=True, kw_only=True)
class Sensors:
    """A profile."""

    name: str
    cameras: tuple[str, ...]  # none: all of the rig
    size: tuple[int, int]  # height and width of each image
    stitched: bool  # one image, in which the cameras' crops stand side by side as a planner reads them
    rays: int  # along the side of a pixel: 2 smooths small images
    quality: int = QUALITY


SENSORS = {
    "ltf": Sensors(name="ltf", cameras=PLANNER_CAMERAS, size=(64, 256), stitched=True, rays=2),
    "full": Sensors(name="full", cameras=(), size=(270, 480), stitched=False, rays=1),
}
"""LTF's view in nano's size, and all cameras of the scene's rig at a quarter of NAVSIM's size."""


@dataclass(frozen=True, kw_only=True)
class CameraImage:
    """One encoded image."""

    camera: str
    width: int
    height: int
    jpeg: bytes
    trust: Trust | None = None  # None where the renderer is exact


def images_of(moment: Moment, scene: Scene, *, renderer: Renderer, sensors: Sensors) -> list[CameraImage]:
    """Renders what a profile asks for.

    Raises:
        BadInput: The scene's rig lacks a camera.
    """
    pose, lights = pose_of(scene, moment.instant, moment.state), lights_at(scene, moment.instant)
    if sensors.stitched:
        images = renderer.render(view_of(scene, sensors.size), pose, moment.tracks, lights)
        return [_encoded("+".join(sensors.cameras), stitched(images), sensors.quality, trust_of(images))]
    rig = rig_of(scene)
    names = sensors.cameras or rig.name
    lacking = [name for name in names if name not in rig.name]
    if lacking:
        raise BadInput(scene.id, "cameras", f"{', '.join(rig.name)} without {', '.join(lacking)}", "the profile's")
    height, width = sensors.size
    cameras = scaled(chosen(rig, *names), size=(width, height))
    drawn = zip(names, renderer.render(cameras, pose, moment.tracks, lights), strict=True)
    return [_encoded(name, stitched((image,)), sensors.quality, image.trust) for name, image in drawn]


def trust_of(images: Sequence[Image]) -> Trust | None:
    """Of images side by side; None where the renderer is exact."""
    trusts = [image.trust for image in images if image.trust is not None]
    pixels = [image.rgb.size for image in images if image.rgb is not None]
    return joined_trust(trusts, pixels) if len(trusts) == len(images) else None


def _encoded(camera: str, rgb: UInt8[Array, "h w 3"], quality: int, trust: Trust | None = None) -> CameraImage:
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality, colorspace="RGB", colorsubsampling="420")
    return CameraImage(camera=camera, width=rgb.shape[1], height=rgb.shape[0], jpeg=jpeg, trust=trust)


def decoded(jpeg: bytes) -> UInt8[Array, "h w 3"]:
    """The image in a JPEG file.

    Raises:
        ValueError: It is none.
    """
    return simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
