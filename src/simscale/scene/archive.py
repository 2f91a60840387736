"""Archives: the one container of our own files, a zip of `.npy` arrays and a JSON header that lists them.

Any NumPy opens one, nothing in it is executed, and the same content always gives the same bytes. The reader refuses
what is damaged, of another format or version, or larger than its kind may be.
"""

import io
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simscale.scene.errors import BadInput

Array = np.ndarray

MAX_HEADER_BYTES = 64 << 20
"""No header of a real log is near this; a larger one is an attack or an accident."""
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class ArchiveKind:
    """One kind of file."""

    format: str
    version: int
    header: str  # name of the member that describes the others
    noun: str  # for messages: "scene file"
    max_bytes: int  # of all members together


def write_archive(path: Path, kind: ArchiveKind, header: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Writes a file, whole or not at all.

    Args:
        path: In an existing folder.
        kind: Of file.
        header: What stands in it beside format, version and the list of arrays; plain data.
        arrays: By name.

    Raises:
        OSError: The file cannot be written.
    """
    listing = {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in arrays.items()}
    text = {"format": kind.format, "version": kind.version, "arrays": listing, **header}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
                _add(archive, kind.header, json.dumps(text, indent=1, sort_keys=True, allow_nan=False).encode())
                for name, array in sorted(arrays.items()):
                    buffer = io.BytesIO()
                    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
                    _add(archive, f"{name}.npy", buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_archive(path: Path, kind: ArchiveKind, *, arrays_too: bool = True) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a file; no arrays where they are not asked for.

    Raises:
        BadInput: The file is missing, empty, damaged, of another format or version, too large, or lists other arrays
            than it holds.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", f"a {kind.noun}")
    if path.stat().st_size == 0:
        raise BadInput(path, "file", "empty", f"a {kind.noun}")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            header = _header(path, kind, archive, sizes)
            if not arrays_too:
                return header, {}
            held = {name.removesuffix(".npy"): name for name in sizes if name != kind.header}
            listed = header.get("arrays")
            if not isinstance(listed, dict) or set(listed) != set(held):
                raise BadInput(path, kind.header, "a list of arrays that the file does not hold", "its own arrays")
            if sum(sizes.values()) > kind.max_bytes:
                raise BadInput(path, "size", f"{sum(sizes.values())} bytes", f"at most {kind.max_bytes}")
            return header, {
                name: np.load(io.BytesIO(archive.read(member)), allow_pickle=False) for name, member in held.items()
            }
    except BadInput:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, LookupError, RuntimeError) as error:
        raise BadInput(path, "file", f"damaged ({error})", f"a whole {kind.noun}") from None


def _header(path: Path, kind: ArchiveKind, archive: zipfile.ZipFile, sizes: dict[str, int]) -> dict[str, Any]:
    if kind.header not in sizes or sizes[kind.header] > MAX_HEADER_BYTES:
        raise BadInput(path, kind.header, sizes.get(kind.header, "missing"), f"at most {MAX_HEADER_BYTES} bytes")
    header = json.loads(archive.read(kind.header))
    if not isinstance(header, dict):
        raise BadInput(path, kind.header, type(header).__name__, "a table")
    if header.get("format") != kind.format:
        raise BadInput(path, "format", repr(header.get("format")), repr(kind.format))
    if header.get("version") != kind.version:
        newer = f"{kind.version} (update simscale to read newer files)"
        raise BadInput(path, "version", repr(header.get("version")), newer)
    return header


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content, zipfile.ZIP_DEFLATED)
