"""glTF with KHR_gaussian_splatting out, as one binary `.glb`; and in, as far as such files are plain.

The extension keeps the numbers that are seen, not those that are trained: scales and opacities linear, quaternions xyzw
of length 1. Coefficients of the harmonics are INRIA's. glTF has y up and we have z up, so the node turns the cloud;
points and harmonics stay in our frame. A viewer that does not know the extension shows coloured points.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from simscale.scene import BadInput
from simscale.splats.files_ply import LARGEST, gaussians_from
from simscale.splats.files_writing import write_bytes
from simscale.splats.gaussians import SH_RESTS, Gaussians

Array = np.ndarray

EXTENSION = "KHR_gaussian_splatting"
WHAT = f"a binary glTF (.glb) with {EXTENSION}"
MAX_JSON_BYTES = 1 << 20
"""Of the description (ours); ours has 6 KB."""
MAX_ROWS = 50_000_000
Y_UP_FROM_Z_UP = (-(0.5**0.5), 0.0, 0.0, 0.5**0.5)
"""Quaternion xyzw of the node."""
SH_C0 = 0.28209479177387814
"""Constant harmonic: colour is 0.5 + SH_C0 times the coefficient."""
MOST_OPAQUE = 1 - 1e-6
"""Opacities are kept this far from 0 and 1, for their logits are finite."""

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def _harmonics(degree: int) -> list[str]:
    """Attribute names beyond the constant one, in the order of `sh_rest`."""
    orders = ((order, number) for order in range(1, degree + 1) for number in range(2 * order + 1))
    return [f"{EXTENSION}:SH_DEGREE_{order}_COEF_{number}" for order, number in orders]


def write_glb(gaussians: Gaussians, path: Path) -> None:
    """Writes a `.glb`, whole or not at all.

    Raises:
        ValueError: More than the 4 GB that the form can hold, or no Gaussian, which it forbids.
        OSError: The file cannot be written.
    """
    raw = {name: value.detach().cpu().numpy() for name, value in gaussians.tensors().items()}
    quats = raw["quats"] / np.linalg.norm(raw["quats"], axis=1, keepdims=True)
    opacity = 1 / (1 + np.exp(-raw["logit_opacity"].astype(np.float64)))
    columns: dict[str, Array] = {
        "POSITION": raw["means"],
        "COLOR_0": _fallback(raw["sh_dc"], opacity),
        f"{EXTENSION}:ROTATION": quats[:, [1, 2, 3, 0]],
        f"{EXTENSION}:SCALE": np.exp(raw["log_scales"]),
        f"{EXTENSION}:OPACITY": opacity[:, None],
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": raw["sh_dc"],
    }
    columns |= {name: raw["sh_rest"][:, i] for i, name in enumerate(_harmonics(gaussians.sh_degree))}
    blocks = [np.ascontiguousarray(a, dtype="<u1" if a.dtype == np.uint8 else "<f4") for a in columns.values()]
    size = sum(block.nbytes for block in blocks)
    if size > (4 << 30) - (2 << 20) or not len(gaussians):
        raise ValueError(f"{len(gaussians)} Gaussians of {size} bytes do not fit a .glb")
    text = json.dumps(_description(list(columns), blocks), separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<IIIII", _MAGIC, 2, 28 + len(text) + size, len(text), _JSON)
    write_bytes(path, head, text, struct.pack("<II", size, _BIN), *(block.data.cast("B") for block in blocks))


def _description(names: list[str], blocks: list[Array]) -> dict[str, Any]:
    views, accessors, offset = [], [], 0
    kinds = {width: kind for kind, width in _WIDTHS.items()}
    for block in blocks:
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": block.nbytes})
        whole = block.dtype == np.uint8
        accessor = {"bufferView": len(accessors), "componentType": 5121 if whole else 5126, "count": len(block)}
        accessors.append(accessor | {"type": kinds[block.shape[1]]} | ({"normalized": True} if whole else {}))
        offset += block.nbytes
    accessors[0] |= {"min": blocks[0].min(0).tolist(), "max": blocks[0].max(0).tolist()}
    primitive = {
        "mode": 0,
        "attributes": {name: number for number, name in enumerate(names)},
        "extensions": {EXTENSION: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}},
    }
    return {
        "asset": {"version": "2.0", "generator": "SimScale"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "rotation": list(Y_UP_FROM_Z_UP)}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }


def _fallback(dc: Array, opacity: Array) -> Array:
    """Linear colour and opacity in bytes, which is what glTF wants of COLOR_0."""
    shown = np.clip(0.5 + SH_C0 * dc, 0.0, 1.0)
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    return np.round(255 * np.concatenate([linear, opacity[:, None]], axis=1)).astype(np.uint8)


def read_glb(path: Path) -> Gaussians:
    """Gaussians of the first primitive that has the extension, in the primitive's own frame (nodes are not applied).

    Raises:
        BadInput: The file is damaged, compressed, or promises more than it holds.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", WHAT)
    description, content = _chunks(path)
    attributes = _attributes(path, description)
    table = {name: _column(path, description, content, name, number) for name, number in attributes.items()}
    degree = max((d for d in range(1, 4) if _harmonics(d)[-1] in table), default=0)
    names = ["POSITION", *(f"{EXTENSION}:{part}" for part in ("ROTATION", "SCALE", "OPACITY", "SH_DEGREE_0_COEF_0"))]
    widths = dict(zip(names, (3, 4, 3, 1, 3), strict=True)) | dict.fromkeys(_harmonics(degree), 3)
    count = len(table["POSITION"]) if "POSITION" in table else 0
    for name, width in widths.items():
        if name not in table or table[name].shape != (count, width):
            found = table[name].shape if name in table else "missing"
            raise BadInput(path, name, found, f"{count} rows of {width}")
    scale, opacity = table[f"{EXTENSION}:SCALE"], table[f"{EXTENSION}:OPACITY"][:, 0]
    if (scale <= 0).any() or (opacity < 0).any() or (opacity > 1).any():
        raise BadInput(path, "SCALE or OPACITY", "out of range", "scales above 0 and opacities of 0 to 1")
    opacity = np.clip(opacity.astype(np.float64), 1 - MOST_OPAQUE, MOST_OPAQUE)
    rest = [table[name] for name in _harmonics(degree)]
    return gaussians_from(
        path,
        means=table["POSITION"],
        log_scales=np.log(scale),
        quats=table[f"{EXTENSION}:ROTATION"][:, [3, 0, 1, 2]],
        logit_opacity=np.log(opacity / (1 - opacity)),
        sh_dc=table[f"{EXTENSION}:SH_DEGREE_0_COEF_0"],
        sh_rest=np.stack(rest, axis=1) if rest else np.zeros((count, SH_RESTS[0], 3)),
    )


def _chunks(path: Path) -> tuple[dict[str, Any], Array]:
    """Description and content of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(20)
        if len(head) < 20 or head[:4] != b"glTF":
            raise BadInput(path, "file", "without the letters glTF at its start", WHAT)
        _, version, length, room, kind = struct.unpack("<IIIII", head)
        if version != 2 or length != size or kind != _JSON:
            raise BadInput(path, "header", f"version {version}, {length} bytes", f"version 2 and {size} bytes")
        if room > min(MAX_JSON_BYTES, size - 20):
            raise BadInput(path, "description", f"{room} bytes", f"at most {min(MAX_JSON_BYTES, size - 20)}")
        try:
            description = json.loads(file.read(room))
        except (ValueError, RecursionError):
            raise BadInput(path, "description", "not JSON", "JSON") from None
        more = file.read(8)
    if not isinstance(description, dict):
        raise BadInput(path, "description", type(description).__name__, "a table")
    start = 28 + room
    held, kind = struct.unpack("<II", more) if len(more) == 8 else (0, 0)
    if kind != _BIN or held != size - start or held == 0:
        raise BadInput(path, "content", f"{held} bytes", f"{max(size - start, 1)} in one binary chunk")
    return description, np.memmap(path, dtype=np.uint8, mode="r", offset=start, shape=(held,))


def _attributes(path: Path, description: dict[str, Any]) -> dict[str, int]:
    """Accessors of the first primitive with the extension."""
    for mesh in _listed(path, description, "meshes"):
        for primitive in _listed(path, mesh, "primitives"):
            extensions = primitive.get("extensions")
            if not isinstance(extensions, dict) or EXTENSION not in extensions:
                continue
            own, attributes = extensions[EXTENSION], primitive.get("attributes")
            plain = isinstance(own, dict) and own.get("kernel", "ellipse") == "ellipse" and not own.get("extensions")
            if not plain or primitive.get("mode") != 0:
                raise BadInput(path, EXTENSION, "compressed, or of another kernel", "plain ellipses as points")
            if not isinstance(attributes, dict) or len(attributes) > 64:
                raise BadInput(path, "attributes", type(attributes).__name__, "a table of at most 64 accessors")
            return attributes
    raise BadInput(path, "meshes", f"no primitive with {EXTENSION}", WHAT)


def _listed(path: Path, table: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = table.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadInput(path, name, type(found).__name__, "a list of tables")
    return found


def _entry(path: Path, description: dict[str, Any], name: str, number: Any) -> dict[str, Any]:
    found = _listed(path, description, name)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(found):
        raise BadInput(path, name, f"number {str(number)[:40]}", f"0 to {len(found) - 1}")
    return found[number]


def _whole(path: Path, table: dict[str, Any], name: str, default: int | None = None) -> int:
    found = table.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise BadInput(path, name, str(found)[:40], "a whole number")
    return found


def _column(path: Path, description: dict[str, Any], content: Array, name: str, number: Any) -> Array:
    """One accessor as float32 [n width]; nothing is made before the bytes are seen to be there."""
    field = name[:60]
    accessor = _entry(path, description, "accessors", number)
    kind, width = _COMPONENTS.get(accessor.get("componentType", 0)), _WIDTHS.get(str(accessor.get("type")))
    if kind is None or width is None or "sparse" in accessor or "bufferView" not in accessor:
        raise BadInput(path, field, "of a type that we do not read, or sparse", "floats or normalised integers")
    view = _entry(path, description, "bufferViews", accessor["bufferView"])
    if view.get("buffer") != 0:
        raise BadInput(path, f"buffer of {field}", str(view.get("buffer"))[:40], "0, the file's own")
    count, item = _whole(path, accessor, "count"), np.dtype(kind).itemsize * width
    stride = _whole(path, view, "byteStride", item)
    start = _whole(path, view, "byteOffset", 0) + _whole(path, accessor, "byteOffset", 0)
    end = start + stride * (count - 1) + item
    room = min(_whole(path, view, "byteOffset", 0) + _whole(path, view, "byteLength"), len(content))
    if not 0 < count <= MAX_ROWS or stride < item or end > room:
        raise BadInput(path, field, f"{count} rows", f"what {room} bytes can hold, at most {MAX_ROWS}")
    rows = np.lib.stride_tricks.as_strided(content[start:], (count, item), (stride, 1), writeable=False)
    values = np.ascontiguousarray(rows).view(kind).astype(np.float32)
    if kind != "<f4":
        if accessor.get("normalized") is not True:
            raise BadInput(path, field, "integers", "floats or normalised integers")
        values = np.maximum(values / np.float32(np.iinfo(np.dtype(kind)).max), -1.0)
    if not (np.abs(values) < LARGEST).all():
        raise BadInput(path, field, "not finite or huge", f"finite numbers below {LARGEST:g}")
    return values
