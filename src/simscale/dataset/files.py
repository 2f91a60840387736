"""Files that are whole or absent: written beside their place, forced to disk, and then renamed into it."""

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """A file that a worker has finished, and where the coordinator shall put it."""

    path: Path  # where it lies now
    name: str  # where it belongs, relative to the folder of the run, with '/'
    sha256: str
    size: int  # bytes
    rows: int  # of its table, or members of its archive


def write_new(folder: Path, stem: str, chunks: Iterable[bytes]) -> tuple[Path, str, int]:
    """Writes chunks to a file of their own in `folder` and forces them to disk.

    Args:
        folder: Where unfinished files lie.
        stem: Beginning of the file's name; process and time make it unique.
        chunks: The content.

    Returns:
        The path, the content's sha256, and its size in bytes.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.{os.getpid()}.{time.monotonic_ns()}"
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path, digest.hexdigest(), size


def put_in_place(file: WrittenFile, out: Path) -> None:
    """Moves a finished file to where it belongs and forces the move to disk."""
    target = out / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    file.path.replace(target)
    fsync_folder(target.parent)


def write_whole(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Replaces a file by one with this content, whole or in chunks; a reader sees the old one or the new one."""
    chunks = [content] if isinstance(content, bytes) else content
    try:
        written, _, _ = write_new(path.parent, f".{path.name}", chunks)
        try:
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # the file that was asked for, not our own
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Forces a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Digest of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
