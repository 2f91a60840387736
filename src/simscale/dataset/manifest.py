"""Manifests: what a dataset consists of, one file a state, each naming its parent; `manifest.json` names the newest.

A folder with `manifest.json` is complete. Every manifest carries the digest of its own content.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simscale.dataset.files import WrittenFile, fsync_folder, write_new, write_whole
from simscale.scene import BadInput

FORMAT = "simscale-shards"
VERSION = 1
NEWEST = "manifest.json"
HISTORY = "manifest"


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a dataset."""

    file: str  # relative to the dataset, with '/'
    sha256: str
    bytes: int
    rows: int  # of a table, or members of a shard


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One state of a dataset."""

    number: int
    parent: int | None
    files: tuple[FileEntry, ...]
    digest: str  # of the dataset, over its samples
    configuration: dict[str, Any]  # all that the samples depend on, beside the inputs
    seed: int
    code_version: str
    inputs: tuple[dict[str, Any], ...]  # what it was made from
    counts: dict[str, Any]


def entries_of(files: Iterable[WrittenFile]) -> tuple[FileEntry, ...]:
    """The entries of committed files, sorted by name."""
    ordered = sorted(files, key=lambda file: file.name)
    return tuple(FileEntry(file=f.name, sha256=f.sha256, bytes=f.size, rows=f.rows) for f in ordered)


def commit_manifest(
    folder: Path,
    *,
    files: tuple[FileEntry, ...],
    digest: str,
    configuration: dict[str, Any],
    seed: int,
    code_version: str,
    inputs: tuple[dict[str, Any], ...],
    counts: dict[str, Any],
) -> Manifest:
    """Writes the next manifest, and `manifest.json` last. The same state again is not written twice.

    Two writers at once get two numbers: a number is taken by creating its file, which only one can.
    """
    content = {
        "files": files,
        "digest": digest,
        "configuration": _plain(configuration),
        "seed": seed,
        "code_version": code_version,
        "inputs": tuple(_plain(list(inputs))),
        "counts": _plain(counts),
    }
    newest = _newest_number(folder)
    if newest is not None:
        before = _read(folder / HISTORY / f"{newest}.json")
        if all(getattr(before, name) == value for name, value in content.items()):
            _point_at_newest(folder)
            return before
    while True:
        newest = _newest_number(folder)
        manifest = Manifest(number=0 if newest is None else newest + 1, parent=newest, **content)
        if _created(folder / HISTORY / f"{manifest.number}.json", _sealed(asdict(manifest))):
            _point_at_newest(folder)
            return manifest


def _point_at_newest(folder: Path) -> None:
    """Another writer may have gone on meanwhile; the last one to look again leaves the newest."""
    written = None
    while written != (newest := _newest_number(folder)):
        write_whole(folder / NEWEST, _sealed(_summary(_read(folder / HISTORY / f"{newest}.json"))))
        written = newest


def read_manifest(folder: Path) -> Manifest:
    """The newest manifest of a dataset.

    Raises:
        BadInput: There is none, or it is damaged or of another version.
    """
    summary = _opened(folder / NEWEST)
    if not isinstance(summary.get("newest"), str):
        raise BadInput(folder / NEWEST, "newest", summary.get("newest"), f"a file in {HISTORY}/ (a generated dataset)")
    return _read(folder / summary["newest"])


def _summary(manifest: Manifest) -> dict[str, Any]:
    kept = ("digest", "configuration", "seed", "code_version", "inputs", "counts")
    return {"newest": f"{HISTORY}/{manifest.number}.json", **{name: getattr(manifest, name) for name in kept}}


def _sealed(content: dict[str, Any]) -> bytes:
    """JSON with the digest of itself; a reader recomputes both, so that no bit can change unseen."""
    whole = {"format": FORMAT, "version": VERSION, **_plain(content)}
    whole["checksum"] = hashlib.sha256(_text(whole)).hexdigest()
    return _text(whole)


def _opened(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        whole = json.loads(raw)
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(path, "file", "absent", "the manifest of a complete dataset") from None
    except ValueError as error:
        raise BadInput(path, "file", f"damaged ({error})", "JSON") from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise BadInput(path, "format", whole.get("format") if isinstance(whole, dict) else "absent", FORMAT)
    if whole.get("version") != VERSION:
        raise BadInput(path, "version", whole.get("version"), f"{VERSION} (update simscale to read newer datasets)")
    checksum = whole.pop("checksum", None)
    if checksum != hashlib.sha256(_text(whole)).hexdigest() or raw != _text({**whole, "checksum": checksum}):
        raise BadInput(path, "checksum", "not that of the content", "an undamaged manifest")
    return whole


def _read(path: Path) -> Manifest:
    whole = _opened(path)
    try:
        fields = {name: whole[name] for name in Manifest.__dataclass_fields__}
        files = tuple(FileEntry(**entry) for entry in fields["files"])
        return Manifest(**{**fields, "files": files, "inputs": tuple(fields["inputs"])})
    except (KeyError, TypeError) as error:
        raise BadInput(path, "content", f"incomplete ({error})", "all fields of a manifest") from error


def _created(path: Path, content: bytes) -> bool:
    """Creates a file with this content, unless there is one already: never half a file, never an overwritten one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written, _, _ = write_new(path.parent, f".{path.name}", [content])
    try:
        os.link(written, path)
    except FileExistsError:
        return False
    finally:
        written.unlink()
    fsync_folder(path.parent)
    return True


def _newest_number(folder: Path) -> int | None:
    numbers = [int(path.stem) for path in (folder / HISTORY).glob("*.json") if path.stem.isdigit()]
    return max(numbers, default=None)


def _plain(content: Any) -> Any:
    return json.loads(json.dumps(content, default=str))


def _text(content: Any) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"
