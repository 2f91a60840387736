"""USTAR archives whose bytes depend on their members alone: given order, no dates, no owners, no compression."""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BLOCK = 512
"""Bytes; a member begins with a header of one block and is padded to whole blocks."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One member before it is packed."""

    name: str
    content: bytes


def offsets_of(members: Iterable[Packed]) -> Iterator[int]:
    """Where the content of each member begins."""
    offset = 0
    for member in members:
        yield offset + BLOCK
        offset += BLOCK + _padded(len(member.content))


def archive_of(members: Iterable[Packed]) -> Iterator[bytes]:
    """The archive in pieces."""
    for member in members:
        info = tarfile.TarInfo(member.name)
        info.size, info.mode = len(member.content), 0o644
        yield info.tobuf(tarfile.USTAR_FORMAT)
        yield member.content
        yield bytes(_padded(len(member.content)) - len(member.content))
    yield bytes(2 * BLOCK)


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK
