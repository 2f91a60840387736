"""COLMAP's binary files, read piece by piece: no count is believed that the rest of the file could not hold."""

import mmap
import struct
from pathlib import Path
from typing import Any

from simscale.scene import BadInput


class BinaryFile:
    """A file that is read from its beginning to its end."""

    def __init__(self, path: Path):
        """Opens it.

        Raises:
            BadInput: It is missing or empty.
        """
        if not path.is_file() or path.stat().st_size == 0:
            raise BadInput(path, "file", "empty" if path.is_file() else "missing", "a file of COLMAP")
        self.path, self.at = path, 0
        with path.open("rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> "BinaryFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes.close()

    def take(self, form: str | struct.Struct) -> tuple[Any, ...]:
        """The next values.

        Raises:
            BadInput: The file ends before them.
        """
        made = struct.Struct(form) if isinstance(form, str) else form
        if self.at + made.size > len(self.bytes):
            raise BadInput(self.path, f"byte {self.at}", "the end of the file", f"{made.size} more bytes")
        values = made.unpack_from(self.bytes, self.at)
        self.at += made.size
        return values

    def count(self, what: str, *, least: int, most: int) -> int:
        """How many items follow; each takes at least `least` bytes.

        Raises:
            BadInput: More than the file can hold.
        """
        (found,) = self.take("<Q")
        left = len(self.bytes) - self.at
        if found > most or found * least > left:
            raise BadInput(self.path, what, f"{found} of them", f"what {left} bytes can hold")
        return found

    def skip(self, size: int) -> None:
        """Leaves bytes out.

        Raises:
            BadInput: The file ends before that.
        """
        if size > len(self.bytes) - self.at:
            raise BadInput(self.path, f"byte {self.at}", "the end of the file", f"{size} more bytes")
        self.at += size

    def text(self, field: str, *, longest: int = 1000) -> str:
        """The next text, which ends with a zero byte.

        Raises:
            BadInput: It is too long, or not UTF-8.
        """
        end = self.bytes.find(b"\0", self.at, self.at + longest + 1)
        if end < 0:
            raise BadInput(self.path, f"name of {field}", f"longer than {longest} bytes", "a name that ends")
        try:
            found = self.bytes[self.at : end].decode()
        except UnicodeDecodeError:
            raise BadInput(self.path, f"name of {field}", "not UTF-8", "a name") from None
        self.at = end + 1
        return found
