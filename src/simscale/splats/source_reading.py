"""What the readers of captures share: files as plain data, or a `BadInput` that says what is wrong with them."""

import json
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError

from simscale.scene import BadInput

Array = np.ndarray

MAX_TEXT_BYTES = 256 << 20
"""Largest text file of poses or points (ours); COLMAP's images.txt of 2,000 photographs has about 100 MB."""
MAX_PIXELS = 64_000_000
"""Largest photograph (ours): an 8000 x 8000 one; the pixels of a small file may be many."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASKS = "masks"
"""Folder below a rig's root with `<camera>.png`, black where the ego's own body is seen."""


def read_text(path: Path, what: str) -> str:
    """A text file, UTF-8.

    Raises:
        BadInput: It is missing, too large, or no text.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", what)
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise BadInput(path, "size", f"{path.stat().st_size} bytes", f"at most {MAX_TEXT_BYTES}")
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        raise BadInput(path, "file", "not UTF-8 text", what) from None


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        BadInput: It is missing, too large or damaged, or holds something else.
    """
    try:
        content = json.loads(read_text(path, what))
    except (ValueError, RecursionError) as error:
        raise BadInput(path, "file", f"damaged ({shown(error)})", what) from None
    if not isinstance(content, dict):
        raise BadInput(path, "file", f"a JSON {type(content).__name__}", what)
    return content


def numbers_of(path: Path, field: str, value: Any, *shape: int) -> Float[Array, "..."]:
    """Nested lists as an array of one shape.

    Raises:
        BadInput: It has another shape, or holds what is not a finite number.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(path, field, shown(value), f"numbers of shape {shape}") from None
    if array.shape != shape or not np.isfinite(array).all() or (np.abs(array) > 1e12).any():
        raise BadInput(path, field, shown(value), f"finite numbers of shape {shape}")
    return array


def number_of(path: Path, field: str, value: Any) -> float:
    """One finite number.

    Raises:
        BadInput: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(path, field, shown(value), "a finite number")
    return float(value)


def rigid_of(path: Path, field: str, motion: Float[Array, "4 4"], *, slack: float = 1e-3) -> Float[Array, "4 4"]:
    """A motion whose rotation is one, to the last digit.

    Raises:
        BadInput: It scales, mirrors or shears by more than `slack`.
    """
    turn = motion[:3, :3]
    off = np.abs(turn @ turn.T - np.eye(3)).max()
    if off > slack or np.linalg.det(turn) < 0 or not np.allclose(motion[3], (0, 0, 0, 1), atol=1e-6):
        raise BadInput(path, field, f"not rigid (off by {off:.2g})", "a rotation and a translation")
    left, _, right = np.linalg.svd(turn)
    made = motion.copy()
    made[:3, :3] = left @ right
    return made


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a photograph, from its header alone.

    Raises:
        BadInput: It is missing, no image, or too large.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", "a photograph")
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ):
        raise BadInput(path, "file", "not an image", "a JPEG or PNG photograph") from None
    if width * height > MAX_PIXELS:
        raise BadInput(path, "size", f"{width} x {height} pixels", f"at most {MAX_PIXELS} pixels")
    return width, height


def masks_of(root: Path, cameras: Sequence[str]) -> list[Path | None]:
    """The mask of each camera, where the source has one."""
    paths = [root / MASKS / f"{name}.png" for name in cameras]
    return [path if path.is_file() else None for path in paths]


def inside(root: Path, name: Any, *, where: object, field: str) -> Path:
    """A file that a source names, if it lies below `root`.

    Raises:
        BadInput: The name is no text, absolute, or leads out of the folder.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 1000 or "\0" in name:
        raise BadInput(where, field, shown(name), "the name of a file")
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadInput(where, field, shown(name), "a name below the folder")
    return root / path


def shown(value: object) -> str:
    """Anything in at most 60 characters of one line."""
    text = " ".join(
        (value if isinstance(value, str) else str(value) if isinstance(value, Exception) else repr(value)[:400]).split()
    )
    return text if len(text) <= 60 else text[:57] + "..."
