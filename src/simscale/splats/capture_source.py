"""From a path to a capture: which form it has is told by its content, never by a name or an option."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simscale.scene import BadInput
from simscale.splats import source_colmap, source_dgp, source_kitti, source_nerfstudio, source_scene
from simscale.splats.capture import Capture

HOLD_OUT_EVERY = 8
"""The custom of the field since Mip-NeRF 360."""
DEPTH = 2
"""Folders below the named one that are looked into, where it is no source itself."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A kind of source."""

    name: str
    told_by: str
    is_one: Callable[[Path], bool]
    read: Callable[..., Capture]


FORMS = (
    Form(
        name=source_scene.FORM,
        told_by="a scene file with images (*.scene.npz)",
        is_one=source_scene.is_one,
        read=source_scene.read,
    ),
    Form(
        name=source_nerfstudio.FORM,
        told_by="nerfstudio's transforms.json",
        is_one=source_nerfstudio.is_one,
        read=source_nerfstudio.read,
    ),
    Form(
        name=source_kitti.FORM,
        told_by="a KITTI sequence (calib.txt, poses, image_*)",
        is_one=source_kitti.is_one,
        read=source_kitti.read,
    ),
    Form(
        name=source_dgp.FORM,
        told_by="a DGP scene (scene_*.json, calibration)",
        is_one=source_dgp.is_one,
        read=source_dgp.read,
    ),
    Form(
        name=source_colmap.FORM,
        told_by="a COLMAP model (cameras and images, .bin or .txt)",
        is_one=source_colmap.is_one,
        read=source_colmap.read,
    ),
)
"""In the order in which they are tried."""


def capture_of(src: Path, *, hold_out_every: int = HOLD_OUT_EVERY) -> Capture:
    """What is reconstructed from `src`.

    Args:
        src: A file or folder of one of FORMS, or a folder with one such source at most two levels below.
        hold_out_every: Every n-th instant is kept from training and scored; 0 trains on all.

    Raises:
        BadInput: It has none of the forms, holds several sources, or is damaged.
    """
    expected = "; or ".join(form.told_by for form in FORMS)
    if not src.exists():
        raise BadInput(src, "path", "missing", expected)
    if hold_out_every == 1 or hold_out_every < 0:
        raise BadInput("command line", "hold out every", hold_out_every, "2 or more, or 0 to hold nothing out")
    level = [src]
    for _ in range(DEPTH + 1):
        found = [(form, path) for path in level for form in FORMS if form.is_one(path)]
        if len({path for _, path in found}) > 1:
            names = ", ".join(path.relative_to(src).as_posix() for _, path in found[:4])
            raise BadInput(src, "content", f"{len(found)} sources ({names})", "one of them by name")
        if found:
            form, path = found[0]
            return form.read(path, hold_out_every=hold_out_every)
        level = [below for path in level if path.is_dir() for below in sorted(path.iterdir())]
    raise BadInput(src, "content", "nothing that can be reconstructed", expected)
