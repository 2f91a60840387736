"""Rewards as SimScale publishes them: pickles of float16 arrays.

A run's pickle is `{token: {column: array of N}}`; a token's own is the inner dictionary, at
`vocab_score_full_<N>_<split>_<POSTFIX>/<token>/tmp.pkl`. Nothing is unpickled: reading walks the opcodes
(`simscale.ingest.safe_pickle`), and writing puts down the few that an array needs, with NumPy's old module names, which
every NumPy finds. Either way a file may be larger than memory.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from simscale.dataset.rewards_code import HALVES, MULTIPLIERS, WHOLES, CodedRewards, can_be, packed_row
from simscale.ingest.safe_pickle import read_pickled_items
from simscale.scene import BadInput
from simscale.scoring.rules import PARITY
from simscale.scoring.vocabulary import COLUMNS

Array = np.ndarray

PUBLISHED = {
    "no_at_fault_collisions": "no_at_fault_collision",
    "drivable_area_compliance": "drivable_area",
    "driving_direction_compliance": "driving_direction",
    "traffic_light_compliance": "traffic_light",
    "ego_progress": "progress",
    "time_to_collision_within_bound": "time_to_collision",
    "lane_keeping": "lane_keeping",
    "history_comfort": "history_comfort",
    "pdm_score": "total",
}
"""Our name of each column of a pickle, in the order of SimScale's files."""
TOKEN_FILE = "tmp.pkl"
"""Name of a token's own pickle, in a folder that has the token's name."""
TOLERANCE = 2e-3
"""A total in float16 is this near to that of its sub-scores in float16."""


def token_files(folder: Path) -> list[Path]:
    """The pickles of single tokens in a folder, sorted by token."""
    return sorted(folder.glob(f"*/{TOKEN_FILE}"))


def read_rewards_pickle(path: Path) -> Iterator[tuple[str, dict[str, Array]]]:
    """Tokens of a pickle with their columns, by our names and in the order of the file.

    Args:
        path: Of a run, or of one token.

    Raises:
        BadInput: It asks for more than arrays, is truncated, or holds something else.
    """
    own: dict[str, Array] = {}
    for key, value in read_pickled_items(path):
        if isinstance(value, np.ndarray) and isinstance(key, str):
            own[key] = value
        elif isinstance(value, dict) and isinstance(key, str) and not own:
            yield key, _columns(path, key, value)
        else:
            raise BadInput(path, f"item {str(key)[:60]!r}", type(value).__name__, "the columns of a token")
    if own:
        yield path.parent.name, _columns(path, path.parent.name, own)


def _columns(path: Path, token: str, held: Mapping[Any, object]) -> dict[str, Array]:
    if set(held) != set(PUBLISHED):
        odd = sorted(str(name)[:60] for name in set(held) ^ set(PUBLISHED))
        raise BadInput(path, f"columns of {token}", f"missing or unknown: {', '.join(odd)}", ", ".join(PUBLISHED))
    columns = {}
    for theirs, ours in PUBLISHED.items():
        array = held[theirs]
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "fb":
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise BadInput(path, f"{theirs} of {token}", found, "an array of one number a trajectory")
        columns[ours] = array.astype(np.float64)
    return columns


def coded_columns(path: Path, token: str, columns: dict[str, Array], *, size: int) -> tuple[CodedRewards, bool]:
    """A token of a pickle as bytes, and whether its total is explained.

    What the human filter of SimScale's fork did is undone as far as it shows: it wrote 1 over the sub-scores that the
    human fails, and over the total where the human's is 0, and left the total alone otherwise. Where that total says
    that time-to-collision or lane keeping was 0, they are stored so, and named as what the human fails.

    Args:
        path: For messages.
        token: Likewise.
        columns: As `read_rewards_pickle` gives them.
        size: Trajectories of the vocabulary.

    Raises:
        BadInput: Another number of trajectories, or a value that a sub-score cannot have.
    """
    theirs = {ours: name for name, ours in PUBLISHED.items()}
    for name, values in columns.items():
        if len(values) != size:
            raise BadInput(
                path, f"{theirs[name]} of {token}", f"{len(values)} values", f"{size}, as the vocabulary has"
            )
        good = can_be(name, values)
        if not good.all():
            bad = int(np.argmin(good))
            wanted = "0, 0.5 or 1" if name in HALVES else "0 or 1" if name in WHOLES else "0 to 1"
            raise BadInput(path, f"{theirs[name]} of {token}, trajectory {bad}", float(values[bad]), wanted)
    unfiltered, failed, explained = _unfiltered(columns)
    row = packed_row({name: unfiltered[name] for name in (*HALVES, *WHOLES)}, columns["progress"])
    return CodedRewards(row=row, best_m=0.0, expert_m=0.0, failed=failed), explained


def _unfiltered(columns: dict[str, Array]) -> tuple[dict[str, Array], Bool[Array, "9"], bool]:
    failed = np.zeros(len(COLUMNS), dtype=bool)
    lacking = _total(columns) - columns["total"]
    if np.all(np.abs(lacking) <= TOLERANCE):
        return columns, failed, True
    if np.all(columns["total"] == 1.0):
        failed[COLUMNS.index("total")] = True
        return columns, failed, True
    multiplier = np.prod([columns[name] for name in MULTIPLIERS], axis=0)
    alive = multiplier > 0.0
    points = np.zeros(len(multiplier))
    points[alive] = lacking[alive] * _WEIGHT / multiplier[alive]
    late = alive & (points > (PARITY.ttc_weight + PARITY.lane_keeping_weight) / 2)
    points = points - PARITY.ttc_weight * late
    astray = alive & (points > PARITY.lane_keeping_weight / 2)
    restored = dict(columns)
    for name, lost in (("time_to_collision", late), ("lane_keeping", astray)):
        if lost.any() and np.all(columns[name] == 1.0):
            restored[name] = np.where(lost, 0.0, 1.0)
            failed[COLUMNS.index(name)] = True
    explained = np.all(np.abs(_total(restored) - columns["total"]) <= TOLERANCE)
    return (restored, failed, True) if explained else (columns, np.zeros(len(COLUMNS), dtype=bool), False)


_WEIGHT = PARITY.progress_weight + PARITY.ttc_weight + PARITY.lane_keeping_weight + PARITY.history_comfort_weight


def _total(columns: dict[str, Array]) -> Float[Array, " n"]:
    weighted = (
        PARITY.progress_weight * columns["progress"]
        + PARITY.ttc_weight * columns["time_to_collision"]
        + PARITY.lane_keeping_weight * columns["lane_keeping"]
        + PARITY.history_comfort_weight * columns["history_comfort"]
    )
    return np.prod([columns[name] for name in MULTIPLIERS], axis=0) * weighted / _WEIGHT


def pickled_run(rewards: Iterator[tuple[str, dict[str, Array]]]) -> Iterator[bytes]:
    """A run's pickle in pieces, from columns by our names."""
    yield _START + b"}"
    first = True
    for token, columns in rewards:
        yield _text(token) + _pickled_columns(columns, first=first) + b"s"
        first = False
    yield b"."


def pickled_token(columns: dict[str, Array]) -> bytes:
    """A token's own pickle."""
    return _START + _pickled_columns(columns, first=True) + b"."


_START = b"\x80\x03"  # protocol 3: the oldest with bytes
_MAKER, _KIND, _DTYPE = b"\x00", b"\x01", b"\x02"  # memo indices
_REFERRED = b"h" + _MAKER + b"h" + _KIND
_DEFINED = b"cnumpy.core.multiarray\n_reconstruct\nq" + _MAKER + b"cnumpy\nndarray\nq" + _KIND
_BLANK = b"K\x00\x85C\x01b\x87R"  # of shape (0,), called
_FLOAT16 = b"cnumpy\ndtype\nX\x02\x00\x00\x00f2\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNN"
_FLOAT16 += 2 * b"J\xff\xff\xff\xff" + b"K\x00tbq" + _DTYPE


def _pickled_columns(columns: dict[str, Array], *, first: bool) -> bytes:
    """A dictionary of arrays; only the first in a file says what an array is, the others refer to it."""
    parts = [b"}"]
    for theirs, ours in PUBLISHED.items():
        content = np.ascontiguousarray(columns[ours]).astype("<f2").tobytes()
        size, dtype = struct.pack("<i", len(columns[ours])), _FLOAT16 if first else b"h" + _DTYPE
        state = b"(K\x01J" + size + b"\x85" + dtype + b"\x89B" + struct.pack("<I", len(content)) + content + b"tb"
        parts.append(_text(theirs) + (_DEFINED if first else _REFERRED) + _BLANK + state + b"s")
        first = False
    return b"".join(parts)


def _text(words: str) -> bytes:
    content = words.encode()
    return b"X" + struct.pack("<I", len(content)) + content
