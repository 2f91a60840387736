"""Recording: what cameras and a LiDAR saw along a drive, as files beside its scene, as a real log has them.

The town's drives have no images of their own. Recorded ones can be reconstructed like any other log, and the truth of
every shifted view is known besides. Files lie in `sensors/<scene>/` below the scene's folder, which may be moved.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg
from pyarrow import feather

from simscale.dataset.example import lights_at, pose_of, rig_of
from simscale.render import Renderer, scaled
from simscale.render.lidar import Lidar, Ranger, roof_lidar, sweep
from simscale.render.rigs import chosen
from simscale.scene import BadInput, Cameras, Recordings, Scene

Array = np.ndarray

FOLDER = "sensors"
LIDAR = "lidar"
GIVEN = ("camera images", "LiDAR sweeps")
"""What a recorded scene no longer misses."""


@dataclass(frozen=True, kw_only=True)
class RecordingSettings:
    """Which sensors a car has, and how often they look."""

    cameras: tuple[str, ...] = ("CAM_L0", "CAM_F0", "CAM_R0")
    """Of NAVSIM's rig: those that planners see."""
    size: tuple[int, int] = (480, 270)
    """Width and height of the images."""
    image_every: int = 2
    """Grid steps from one image of a camera to the next: 5 Hz."""
    sweep_every: int = 2
    """Grid steps from one LiDAR sweep to the next: 5 Hz."""
    rays: int = 2
    """Along the side of a pixel; a photograph is smooth."""
    quality: int = 95
    """Of JPEG, with full colour (4:4:4): 45 dB against what was drawn."""


def record(
    scene: Scene,
    folder: Path,
    renderer: Renderer,
    *,
    settings: RecordingSettings,
    lidar: Lidar | None = None,
    on_instant: Callable[[], None] = lambda: None,
) -> Scene:
    """Drives a scene once more, with cameras and LiDAR switched on.

    Args:
        scene: Without images.
        folder: Where its scene file lies, or will lie.
        renderer: Draws its location with `settings.rays` rays; a `Ranger` too.
        settings: Cameras and rates.
        lidar: On the roof; 32 beams where not said.
        on_instant: Told after every instant with a recording.

    Returns:
        The scene with rig, images and sweeps; not written yet.

    Raises:
        BadInput: The rig lacks a camera.
        OSError: A file cannot be written.
    """
    assert isinstance(renderer, Ranger), "sweeps need ranges"
    rig, beams = _rig(scene, settings), lidar or roof_lidar()
    root = folder / FOLDER / scene.id
    for name in (*rig.name, LIDAR):
        (root / name).mkdir(parents=True, exist_ok=True)
    shots: list[tuple[str, str, int, Array]] = []
    swept: list[tuple[str, str, int, Array]] = []
    for instant in range(len(scene)):
        pictures, sweeps = instant % settings.image_every == 0, instant % settings.sweep_every == 0
        if not (pictures or sweeps):
            continue
        when, tracks = int(scene.timestamp_us[instant]), scene.tracks.at(instant, instant + 1)
        pose = pose_of(scene, instant, scene.ego[instant])
        if pictures:
            images = renderer.render(rig, pose, tracks, lights_at(scene, instant))
            for c, (name, image) in enumerate(zip(rig.name, images, strict=True)):
                assert image.rgb is not None
                jpeg = simplejpeg.encode_jpeg(image.rgb, settings.quality, colorspace="RGB", colorsubsampling="444")
                path = f"{name}/{when:012d}.jpg"
                (root / path).write_bytes(jpeg)
                shots.append((name, path, when, pose @ rig.ego_from_camera[c]))
        if sweeps:
            path = f"{LIDAR}/{when:012d}.feather"
            xyz = sweep(renderer, beams, pose, tracks).xyz
            table = pa.table({axis: np.ascontiguousarray(xyz[:, i]) for i, axis in enumerate("xyz")})
            feather.write_feather(table, str(root / path), compression="uncompressed")
            swept.append((LIDAR, path, when, pose))  # points stand in the ego's frame
        on_instant()
    return replace(
        scene,
        cameras=rig,
        images=_recordings(shots),
        sweeps=_recordings(swept),
        sensor_root=f"{FOLDER}/{scene.id}",
        missing=tuple(phrase for phrase in scene.missing if phrase not in GIVEN),
    )


def recorded_instants(scene: Scene, settings: RecordingSettings) -> int:
    """How often `record` looks."""
    return sum(i % settings.image_every == 0 or i % settings.sweep_every == 0 for i in range(len(scene)))


def _rig(scene: Scene, settings: RecordingSettings) -> Cameras:
    rig = rig_of(scene)
    lacking = [name for name in settings.cameras if name not in rig.name]
    if lacking:
        raise BadInput(scene.id, "cameras", f"without {lacking[0]}", f"at least {', '.join(settings.cameras)}")
    return scaled(chosen(rig, *settings.cameras), size=settings.size)


def _recordings(rows: list[tuple[str, str, int, Array]]) -> Recordings:
    sensor, path, when, pose = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Recordings(
        sensor=tuple(sensor),
        path=tuple(path),
        timestamp_us=np.array(when, dtype=np.int64),
        world_from_sensor=np.stack(pose) if rows else np.zeros((0, 4, 4)),
    )
