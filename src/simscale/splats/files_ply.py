"""PLY in and out: the INRIA form in which Gaussians travel, and plain point clouds.

A PLY says how much it holds before it holds it. We believe its header only after count and width of its rows agree with
the bytes that are there, so that a header of 10^12 vertices costs nothing. Own reader and writer: plyfile is GPL.

INRIA's columns: x y z, nx ny nz (unused), f_dc_0..2, f_rest_0.. (all of red, then green, then blue), opacity (logit),
scale_0..2 (log), rot_0..3 (wxyz).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from simscale.scene import BadInput
from simscale.splats.files_writing import write_bytes
from simscale.splats.gaussians import SH_RESTS, Gaussians

Array = np.ndarray

MAX_HEADER_BYTES = 64 << 10
MAX_PROPERTIES = 256
"""Of one element; INRIA's third degree has 62."""
MAX_ASCII_BYTES = 64 << 20
"""Text is slow to read; larger files are to be written as binary (ours)."""
MAX_ROWS = 50_000_000
"""Gaussians of a file (ours): 12 GB of them."""
LARGEST = 1e9
"""No coordinate of a scene is larger, and no logarithm or logit of a scale or opacity."""
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
WHAT = "a PLY file"

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}


@dataclass(frozen=True, kw_only=True)
class _Header:
    order: str  # of bytes; empty for text
    count: int  # of vertices
    columns: tuple[tuple[str, str], ...]  # name and type, as NumPy names it
    first: int  # byte after the header
    more: bool  # whether other elements follow


def read_vertices(path: Path) -> dict[str, Array]:
    """Columns of the element `vertex`.

    Raises:
        BadInput: The file is missing or damaged, or its header promises other than it holds.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", WHAT)
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _header(path, file.read(MAX_HEADER_BYTES))
        if header.count > MAX_ROWS:
            raise BadInput(path, "element vertex", f"{header.count} rows", f"at most {MAX_ROWS}")
        if not header.order:
            return _text_rows(path, file, header, size)
        row = np.dtype([(name, header.order + kind) for name, kind in header.columns])
        held, wanted = size - header.first, header.count * row.itemsize
        if held != wanted and not (header.more and held > wanted):
            raise BadInput(path, "size", f"{held} bytes of content", f"{wanted}, as its header says")
    if header.count == 0:
        rows = np.zeros(0, dtype=row)
    else:
        rows = np.memmap(path, dtype=row, mode="r", offset=header.first, shape=(header.count,))
    return {name: np.ascontiguousarray(rows[name].astype(row[name].newbyteorder("="))) for name, _ in header.columns}


def _header(path: Path, beginning: bytes) -> _Header:
    """What the first bytes of a file promise.

    Raises:
        BadInput: They are no header that we read.
    """
    if not beginning.startswith((b"ply\n", b"ply\r\n")):
        raise BadInput(path, "file", "without the letters ply at its start", WHAT)
    found = re.search(rb"\nend_header\r?\n", beginning)
    if found is None:
        raise BadInput(path, "header", f"without an end in {len(beginning)} bytes", f"at most {MAX_HEADER_BYTES} bytes")
    try:
        lines = [line.split() for line in beginning[: found.start()].decode("ascii").splitlines()[1:]]
    except UnicodeDecodeError:
        raise BadInput(path, "header", "not ASCII", "a header in ASCII") from None
    order: str | None = None
    elements: list[tuple[str, int]] = []
    columns: list[tuple[str, str]] = []
    for words in lines:
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3 and words[2] == "1.0" and words[1] in _ORDERS and order is None:
            order = _ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal() and len(words[2]) <= 19:
            elements.append((words[1], int(words[2])))
        elif words[0] == "property" and elements:
            if elements[-1][0] == "vertex":
                columns.append(_column(path, words))
        else:
            raise BadInput(path, "header", repr(" ".join(words)[:60]), "format, element and property lines")
    if order is None or not elements or elements[0][0] != "vertex":
        first = elements[0][0][:40] if elements else "nothing"
        raise BadInput(path, "header", f"{first} first", "a format and then the element vertex")
    names = [name for name, _ in columns]
    if len(set(names)) != len(names) or not 0 < len(names) <= MAX_PROPERTIES:
        raise BadInput(path, "element vertex", f"{len(names)} properties", f"1 to {MAX_PROPERTIES}, each once")
    return _Header(order=order, count=elements[0][1], columns=tuple(columns), first=found.end(), more=len(elements) > 1)


def _column(path: Path, words: list[str]) -> tuple[str, str]:
    if len(words) > 1 and words[1] == "list":
        raise BadInput(path, "element vertex", "a list property", "single numbers")
    if len(words) != 3 or words[1] not in _TYPES or not NAME.fullmatch(words[2]):
        raise BadInput(path, "property", repr(" ".join(words)[:60]), f"one of {', '.join(sorted(_TYPES))} and a name")
    return words[2], _TYPES[words[1]]


def _text_rows(path: Path, file: BinaryIO, header: _Header, size: int) -> dict[str, Array]:
    left = size - header.first
    if left > MAX_ASCII_BYTES:
        raise BadInput(path, "size", f"{left} bytes of text", f"at most {MAX_ASCII_BYTES}: write it as binary")
    wanted = header.count * len(header.columns)
    if 2 * wanted > left + 1:  # a digit and a space each
        raise BadInput(path, "element vertex", f"{header.count} rows", f"what {left} bytes can hold")
    file.seek(header.first)
    words = file.read().split(maxsplit=wanted)
    table = np.empty(wanted, dtype=np.float64)
    try:
        table[:] = words[:wanted]
    except ValueError:
        raise BadInput(path, "rows", "short, or not numbers", f"{header.count} of {len(header.columns)}") from None
    if len(words) > wanted and not header.more:
        raise BadInput(path, "rows", "more than its header says", f"{header.count} of {len(header.columns)}")
    columns = table.reshape(header.count, -1).T
    with np.errstate(invalid="ignore", over="ignore"):
        return {name: column.astype(kind) for (name, kind), column in zip(header.columns, columns, strict=True)}


def read_ply(path: Path) -> Gaussians:
    """Gaussians in INRIA's form.

    Raises:
        BadInput: The file is damaged, lacks a column, or holds a number that is not finite.
    """
    found = read_vertices(path)
    if "packed_position" in found:
        raise BadInput(path, "properties", "packed", "INRIA's plain form: a compressed PLY must be unpacked first")
    rests = sorted((name for name in found if name.startswith("f_rest_")), key=lambda name: (len(name), name))
    if len(rests) % 3 or len(rests) // 3 not in SH_RESTS:
        raise BadInput(path, "f_rest", f"{len(rests)} columns", "0, 9, 24 or 45")
    names = {
        "means": ["x", "y", "z"],
        "log_scales": [f"scale_{i}" for i in range(3)],
        "quats": [f"rot_{i}" for i in range(4)],
        "logit_opacity": ["opacity"],
        "sh_dc": [f"f_dc_{i}" for i in range(3)],
        "sh_rest": [f"f_rest_{i}" for i in range(len(rests))],
    }
    lacking = [name for group in names.values() for name in group if name not in found]
    if lacking:
        kind = "a point cloud" if {"x", "y", "z"} <= set(found) else "something else"
        raise BadInput(path, "properties", f"without {lacking[0]} ({kind})", "Gaussians in INRIA's form")
    parts = {key: _finite(path, found, group) for key, group in names.items()}
    channels = parts["sh_rest"].reshape(len(parts["means"]), 3, len(rests) // 3)
    return gaussians_from(
        path,
        means=parts["means"],
        log_scales=parts["log_scales"],
        quats=parts["quats"],
        logit_opacity=parts["logit_opacity"][:, 0],
        sh_dc=parts["sh_dc"],
        sh_rest=channels.transpose(0, 2, 1),
    )


def _finite(path: Path, found: dict[str, Array], names: list[str]) -> Array:
    """Columns side by side as float32."""
    count = len(found["x"])
    table = np.empty((count, len(names)), dtype=np.float32)
    for column, name in enumerate(names):
        if found[name].dtype.kind != "f":
            raise BadInput(path, f"property {name}", str(found[name].dtype), "float")
        with np.errstate(over="ignore"):
            table[:, column] = found[name]
        if not (np.abs(table[:, column]) < LARGEST).all():  # false for NaN too
            raise BadInput(path, f"property {name}", "not finite or huge", f"finite numbers below {LARGEST:g}")
    return table


def gaussians_from(path: Path, **arrays: Array) -> Gaussians:
    """Gaussians of NumPy arrays that were read from a file.

    Raises:
        BadInput: A quaternion of no length.
    """
    length = np.abs(arrays["quats"]).max(axis=1, initial=0.0)
    if (length == 0).any():
        raise BadInput(path, f"rotation of row {int(np.argmin(length))}", "zero", "a quaternion")
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for name, a in arrays.items()}
    return Gaussians(**tensors)


def write_ply(gaussians: Gaussians, path: Path) -> None:
    """Writes INRIA's form, binary, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    arrays = {name: value.detach().cpu().numpy() for name, value in gaussians.tensors().items()}
    count = len(arrays["means"])
    rest = arrays["sh_rest"].transpose(0, 2, 1).reshape(count, -1)
    table = np.concatenate(
        [
            arrays["means"],
            np.zeros((count, 3), dtype=np.float32),
            arrays["sh_dc"],
            rest,
            arrays["logit_opacity"][:, None],
            arrays["log_scales"],
            arrays["quats"],
        ],
        axis=1,
    ).astype("<f4")
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3))]
    names += [f"f_rest_{i}" for i in range(rest.shape[1])]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    lines += [*(f"property float {name}" for name in names), "end_header", ""]
    write_bytes(path, "\n".join(lines).encode(), table.data.cast("B") if count else b"")
