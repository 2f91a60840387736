"""Photographs as a pinhole would have taken them, in the size that is trained on.

Read, scaled by area (which smooths as a smaller sensor would), straightened where the lens bends, and masked. The lens
keeps its focal length and principal point: of a barrel's image the outermost rim is lost, and nothing is stretched.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from simscale.render.lenses import distorted
from simscale.scene import BadInput
from simscale.splats.capture import Frames
from simscale.splats.source_reading import MAX_PIXELS, shown

Array = np.ndarray

MASKED_BELOW = 128
"""Pixels of a mask darker than this do not count."""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One frame as a pinhole's image."""

    rgb: UInt8[Array, "h w 3"]
    valid: Bool[Array, "h w"]  # what counts: not masked, and inside the file's image
    intrinsics: Float[Array, "3 3"]  # of this size; pixel centres at whole numbers, as in `Cameras`

    @property
    def render_intrinsics(self) -> Float[Array, "3 3"]:
        """For `splats.render`, whose pixel centres stand at halves."""
        return centred_at_halves(self.intrinsics)


def centred_at_halves(intrinsics: Float[Array, "*b 3 3"]) -> Float[Array, "*b 3 3"]:
    """Intrinsics for a renderer whose first pixel's centre is (0.5, 0.5) instead of (0, 0)."""
    moved = np.array(intrinsics, dtype=np.float64)
    moved[..., :2, 2] += 0.5
    return moved


def size_at(frames: Frames, frame: int, width: int | None) -> tuple[int, int]:
    """Width and height of a frame scaled to `width`; never larger than the file's."""
    full = frames.size_px[frame]
    if width is None or width >= full[0]:
        return int(full[0]), int(full[1])
    return width, max(round(int(full[1]) * width / int(full[0])), 1)


def lens_at(frames: Frames, frame: int, width: int | None) -> Float[Array, "3 3"]:
    """Intrinsics of a frame scaled to `width`."""
    size = np.array(size_at(frames, frame, width))
    share = size / frames.size_px[frame]
    lens = frames.intrinsics[frame].copy()
    lens[0, :2] *= share[0]
    lens[1, 1] *= share[1]
    lens[:2, 2] = (frames.intrinsics[frame, :2, 2] + 0.5) * share - 0.5
    return lens


def photograph(frames: Frames, frame: int, *, width: int | None = None) -> Photograph:
    """Reads one frame.

    Args:
        frames: All of a capture.
        frame: Which one.
        width: Of the image, pixels; the file's own where not said.

    Raises:
        BadInput: The file is missing or damaged, or has another size than when the capture was read.
    """
    size = size_at(frames, frame, width)
    rgb = _scaled(_read_rgb(frames.path[frame], frames.size_px[frame]), size)
    valid = np.ones(rgb.shape[:2], dtype=bool)
    mask = frames.mask[frame]
    if mask is not None:
        with _opened(mask) as image:
            grey = image.convert("L").resize(size, Image.Resampling.BOX)
        valid = np.asarray(grey) >= MASKED_BELOW
    lens = lens_at(frames, frame, width)
    if np.any(frames.distortion[frame]):
        rgb, valid = _straightened(rgb, valid, lens, frames.distortion[frame])
    return Photograph(rgb=rgb, valid=valid, intrinsics=lens)


def _read_rgb(path: Path, size_px: Array) -> UInt8[Array, "h w 3"]:
    """The file's pixels; grey ones become three equal channels."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        try:
            content = path.read_bytes()
            height, width, _, _ = simplejpeg.decode_jpeg_header(content)
            if int(width) * int(height) <= MAX_PIXELS:
                rgb = simplejpeg.decode_jpeg(content, colorspace="RGB")
                return _sized(path, rgb, size_px)
        except (OSError, ValueError) as error:
            raise BadInput(path, "file", f"damaged ({shown(error)})", "a JPEG photograph") from None
    with _opened(path) as image:
        return _sized(path, np.asarray(image.convert("RGB")), size_px)


def _sized(path: Path, rgb: Array, size_px: Array) -> Array:
    if rgb.shape[:2] != (size_px[1], size_px[0]):
        raise BadInput(path, "size", f"{rgb.shape[1]} x {rgb.shape[0]}", f"{size_px[0]} x {size_px[1]}")
    return rgb


class _opened:  # noqa: N801 - a context, used like a function
    """A loaded image of Pillow, or `BadInput`."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> Image.Image:
        try:
            self.image = Image.open(self.path)
            if self.image.width * self.image.height > MAX_PIXELS:
                raise BadInput(self.path, "size", f"{self.image.size} pixels", f"at most {MAX_PIXELS} pixels")
            self.image.load()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise BadInput(self.path, "file", f"damaged ({shown(error)})", "an image") from None
        return self.image

    def __exit__(self, *_: object) -> None:
        self.image.close()


def _scaled(rgb: UInt8[Array, "h w 3"], size: tuple[int, int]) -> UInt8[Array, "h2 w2 3"]:
    if (rgb.shape[1], rgb.shape[0]) == size:
        return np.ascontiguousarray(rgb)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))


def _straightened(rgb: Array, valid: Array, lens: Array, distortion: Array) -> tuple[Array, Array]:
    """The pinhole's image: every pixel looks up where the lens put its ray, between four pixels."""
    height, width = valid.shape
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    y = (v - lens[1, 2]) / lens[1, 1]
    x = (u - lens[0, 2] - lens[0, 1] * y) / lens[0, 0]
    bent = distorted(np.stack([x, y], axis=-1), distortion)
    at = np.stack(
        [lens[0, 0] * bent[..., 0] + lens[0, 1] * bent[..., 1] + lens[0, 2], lens[1, 1] * bent[..., 1] + lens[1, 2]], -1
    )
    seen = unfolded(np.stack([x, y], axis=-1), distortion)
    seen &= (at >= -0.5).all(-1) & (at[..., 0] <= width - 0.5) & (at[..., 1] <= height - 0.5)
    near = np.clip(at, 0.0, (width - 1, height - 1))
    low = np.minimum(near.astype(np.int64), (width - 2, height - 2)).clip(0)
    share = (near - low).astype(np.float32)
    made = np.zeros(rgb.shape, dtype=np.float32)
    full = np.zeros(valid.shape, dtype=np.float32)
    for right in (0, 1):
        for down in (0, 1):
            weight = np.abs(1 - right - share[..., 0]) * np.abs(1 - down - share[..., 1])
            column = np.minimum(low[..., 0] + right, width - 1)
            row = np.minimum(low[..., 1] + down, height - 1)
            made += weight[..., None] * rgb[row, column]
            full += weight * valid[row, column]
    return np.round(made).astype(np.uint8), seen & (full > 0.999)


def unfolded(xy: Float[Array, "*b 2"], distortion: Float[Array, "5"]) -> Bool[Array, "*b"]:
    """Where a lens's polynomial still grows outwards; beyond, it folds back and shows another place."""
    k1, k2, _, _, k3 = distortion
    r2 = (xy**2).sum(-1)
    grows = 1 + r2 * (3 * k1 + r2 * (5 * k2 + r2 * 7 * k3)) > 0
    if np.all(grows):
        return grows
    first = r2[~grows].min()  # beyond the first fold nothing is sure, even where the slope is positive again
    return r2 < first
