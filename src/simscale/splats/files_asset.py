"""Assets: folders that hold a reconstruction, arrays in safetensors and everything else in one JSON file.

```
asset.json                      format, version, what it is, and the digest of
tensors-<sha16>.safetensors     every array, by name
```

`asset.json` is written last and names the one file of arrays that belongs to it, so a reader sees the old asset or the
new one, never a mixture. Nothing in either file is executed. The same content always gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simscale.scene import BadInput
from simscale.splats.files_writing import write_bytes
from simscale.splats.gaussians import SH_RESTS, Gaussians

FORMAT = "simscale-splats"
VERSION = 1
DESCRIPTION = "asset.json"
MAX_DESCRIPTION_BYTES = 64 << 20
"""Poses of a hundred agents over a log take 5 MB as text."""
MAX_TENSORS_BYTES = 32 << 30
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Asset:
    """What a folder holds: plain data, and arrays by name."""

    kind: str  # what it is: "street", "checkpoint"
    description: dict[str, Any]
    tensors: dict[str, Tensor]
    digest: str = ""  # sha256 of the arrays' file; of what was read


def write_asset(asset: Asset, folder: Path) -> str:
    """Writes a folder, or replaces the asset in it.

    Returns:
        The digest of the arrays.

    Raises:
        OSError: It cannot be written.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: asset.tensors[name].detach().cpu().contiguous() for name in sorted(asset.tensors)}
    content = save(plain)
    digest = hashlib.sha256(content).hexdigest()
    text = {
        "format": FORMAT,
        "version": VERSION,
        "kind": asset.kind,
        "file": _file_of(digest),
        "sha256": digest,
        "tensors": {name: {"dtype": _dtype(t), "shape": list(t.shape)} for name, t in plain.items()},
        "description": asset.description,
    }
    encoded = json.dumps(text, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    write_bytes(folder / _file_of(digest), content)
    write_bytes(folder / DESCRIPTION, encoded)
    for old in folder.glob("tensors-*.safetensors"):
        if old.name != _file_of(digest):
            old.unlink()
    return digest


def read_asset(folder: Path, *, kind: str | None = None) -> Asset:
    """Reads a folder.

    Args:
        folder: Of an asset.
        kind: What is wanted, where it matters.

    Raises:
        BadInput: A file is missing or damaged, of another version or kind, or its arrays are not those described.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    text = _description(folder)
    where = folder / DESCRIPTION
    if kind is not None and text.get("kind") != kind:
        raise BadInput(where, "kind", repr(text.get("kind"))[:60], repr(kind))
    digest, listed, description = text.get("sha256"), text.get("tensors"), text.get("description")
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise BadInput(where, "sha256", repr(digest)[:60], "64 hexadecimal digits")
    if not isinstance(listed, dict) or not isinstance(description, dict) or not isinstance(text.get("kind"), str):
        raise BadInput(where, "tensors, description or kind", "something else", "two tables and a word")
    path = folder / _file_of(digest)
    if not path.is_file():
        raise BadInput(path, "file", "missing", f"the arrays of {DESCRIPTION}")
    if path.stat().st_size > MAX_TENSORS_BYTES:
        raise BadInput(path, "size", f"{path.stat().st_size} bytes", f"at most {MAX_TENSORS_BYTES}")
    if _sha256(path) != digest:
        raise BadInput(path, "sha256", "another", f"{digest[:16]}..., as {DESCRIPTION} says")
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise BadInput(path, "file", f"damaged ({str(error)[:80]})", "a safetensors file") from None
    found = {name: {"dtype": _dtype(t), "shape": list(t.shape)} for name, t in tensors.items()}
    if found != listed:
        odd = sorted(set(found) ^ set(listed)) or sorted(name for name in found if found[name] != listed[name])
        raise BadInput(path, "tensors", f"other than described ({odd[0][:60]})", f"those of {DESCRIPTION}")
    return Asset(kind=text["kind"], description=description, tensors=tensors, digest=digest)


def is_asset(folder: Path) -> bool:
    """Whether a folder says that it holds an asset."""
    return (folder / DESCRIPTION).is_file()


def tensors_of(gaussians: Gaussians, prefix: str) -> dict[str, Tensor]:
    """Parameters by the names that they have in an asset: `<prefix>.means` and so on."""
    return {f"{prefix}.{name}": value for name, value in gaussians.tensors().items()}


def gaussians_in(tensors: Mapping[str, Tensor], prefix: str, *, where: object) -> Gaussians:
    """The Gaussians that `tensors_of` named.

    Raises:
        BadInput: One is missing, has another shape or type, or is not finite.
    """
    count = len(tensors.get(f"{prefix}.means", ()))
    shapes = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacity": (), "sh_dc": (3,), "sh_rest": (-1, 3)}
    parts = {}
    for name, shape in shapes.items():
        found = tensors.get(f"{prefix}.{name}")
        field = f"{prefix}.{name}"
        if found is None:
            raise BadInput(where, field, "missing", "an array")
        fits = found.ndim == 1 + len(shape) and len(found) == count
        fits = fits and all(want in (-1, have) for want, have in zip(shape, found.shape[1:], strict=True))
        if not fits or found.dtype != torch.float32 or (name == "sh_rest" and found.shape[1] not in SH_RESTS):
            raise BadInput(where, field, f"{_dtype(found)} {list(found.shape)}", f"float32 [{count}, {shape}]")
        if not torch.isfinite(found).all():
            raise BadInput(where, field, "not finite", "finite numbers")
        parts[name] = found
    return Gaussians(**parts)


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise BadInput(folder, "content", f"without {DESCRIPTION}", "what simscale reconstruct writes")
    if path.stat().st_size > MAX_DESCRIPTION_BYTES:
        raise BadInput(path, "size", f"{path.stat().st_size} bytes", f"at most {MAX_DESCRIPTION_BYTES}")
    try:
        text = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):
        raise BadInput(path, "file", "not JSON", "the description of an asset") from None
    if not isinstance(text, dict) or text.get("format") != FORMAT:
        raise BadInput(path, "format", "another, or none", FORMAT)
    if text.get("version") != VERSION:
        newer = f"{VERSION} (update simscale to read newer files)"
        raise BadInput(path, "version", repr(text.get("version"))[:40], newer)
    return text


def _file_of(digest: str) -> str:
    return f"tensors-{digest[:16]}.safetensors"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
