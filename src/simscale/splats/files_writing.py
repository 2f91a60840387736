"""Files that are whole or absent: written beside their place and renamed into it."""

import os
from pathlib import Path


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Writes parts one after the other.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
