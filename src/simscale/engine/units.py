"""Units: what is scheduled, run again, and committed as a whole."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simscale.dataset.files import WrittenFile

Json = Any
"""Plain data: what `json.dumps` takes."""

KEY_LENGTH = 16
"""Letters of a unit's key, with which the names of its files begin."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Some items to be worked on together; the key names the unit's files and its row in the ledger."""

    key: str
    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a worker hands back: small words about files that lie on disk already."""

    files: tuple[WrittenFile, ...]
    summary: Json  # counts and the like, kept in the ledger


Work = Callable[[Unit, Path], Finished]
"""Does one unit and leaves its files in the given folder of unfinished files. Runs again after a crash, so the same
unit must give the same files. It crosses a process boundary: a module's function, or a `functools.partial` of one."""


def units_of(items: Sequence[str], *, size: int, configuration: Json) -> list[Unit]:
    """Splits items into units that depend neither on their order nor on the number of workers.

    Args:
        items: Names of what is to be done, unique.
        size: Items a unit.
        configuration: All else that the result depends on: stage, version, settings, seed.
    """
    assert len(set(items)) == len(items), "items must be unique"
    ordered = sorted(items)
    groups = [tuple(ordered[i : i + size]) for i in range(0, len(ordered), size)]
    return [Unit(key=key_of([list(group), configuration])[:KEY_LENGTH], items=group) for group in groups]


def key_of(configuration: Json) -> str:
    """Digest of plain data; the order of a mapping's keys does not matter."""
    return hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()
