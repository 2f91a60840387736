"""Rewards in `simscale-shards`: the sub-scores of a whole vocabulary at every token, read through the page cache.

```
data/<unit>-<sha16>.npy      a row of bytes a token, see rewards_code.py; any NumPy maps it
index/<unit>.parquet         where each token's row lies, with what progress is measured by and what the human fails
```

Tokens are those of moments: a decision point of a log, or a sample with the expert whose answer the traffic reacted to.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64, UInt8

from simscale.dataset.files import WrittenFile, write_new
from simscale.dataset.manifest import read_manifest
from simscale.dataset.rewards_code import (
    MODES,
    CodedRewards,
    Rewards,
    plain_table,
    progress_table,
    rewards_of,
    row_width,
)
from simscale.dataset.shards import DATA, INDICES, read_table
from simscale.dataset.tables import TEXT, table_bytes
from simscale.scene import BadInput
from simscale.scoring.vocabulary import COLUMNS, FilterMode, ProgressMode

Array = np.ndarray

STAGE = "rewards"
"""What a manifest says whose folder holds rewards."""
FOLDERS = (DATA, INDICES)
ROWS_A_SHARD = 2048
"""A unit with more tokens leaves several shards; one has 71 MB for 16,384 trajectories."""
OPEN_SHARDS = 256
"""Shards that are mapped at once; each takes a file descriptor."""
PLACES = pa.schema(
    {
        "token": TEXT,
        "log": TEXT,
        "driver": TEXT,
        "shard": TEXT,
        "row": pa.int32(),
        "sha256": TEXT,
        "best_m": pa.float64(),
        "expert_m": pa.float64(),
        "failed": pa.list_(TEXT),
    }
)


@dataclass(frozen=True, kw_only=True)
class TokenRewards:
    """One token's rewards before they are written."""

    token: str
    log: str  # id of the scene; empty where it is not known
    driver: str  # human, or the expert whose answer the traffic reacted to; empty where it is not known
    coded: CodedRewards


@dataclass(frozen=True, kw_only=True)
class RewardStore:
    """The rewards of many tokens, opened; it holds names and numbers alone, and may cross a process boundary."""

    folder: Path
    vocabulary: str  # name of its file
    vocabulary_sha256: str  # of its content
    size: int  # trajectories
    progress: ProgressMode  # that is meant where none is asked for
    modes: tuple[ProgressMode, ...]  # that it holds; pickles have but one
    tokens: tuple[str, ...]  # sorted
    shards: tuple[str, ...]  # file names, sorted
    shard: Int64[Array, " t"]  # into shards
    row: Int64[Array, " t"]  # in that shard
    rows: Int64[Array, " s"]  # of each shard
    best_m: Float64[Array, " t"]  # m
    expert_m: Float64[Array, " t"]  # m
    failed: Bool[Array, "t 9"]  # which of `COLUMNS` the human fails
    place: dict[str, int]  # of a token in `tokens`

    def read(
        self, tokens: Sequence[str], *, progress: ProgressMode | None = None, human_filter: FilterMode = "fixed"
    ) -> Rewards:
        """Rewards of some tokens, in the order in which they are asked for.

        Args:
            tokens: Names, of moments.
            progress: How progress is measured; the store's own measure where not said.
            human_filter: What becomes of sub-scores that the human fails: `fixed` has the filtered sub-scores and
                their total, `legacy` the columns of SimScale's pickles, `off` what was scored.

        Raises:
            BadInput: A token without rewards, a measure that the store does not hold, a damaged shard.
        """
        places = self._places(tokens)
        rows = np.empty((len(places), row_width(self.size)), dtype=np.uint8)
        for i, at in enumerate(places):
            rows[i] = self._shard(int(self.shard[at]))[self.row[at]]
        tables = np.stack([self._table(at, progress) for at in places]) if places else np.zeros((0, 5, 256), "f4")
        return rewards_of(rows, tables, self.failed[places], size=self.size, human_filter=human_filter)

    def row_of(self, token: str) -> UInt8[Array, " w"]:
        """The bytes of a token."""
        (at,) = self._places([token])
        return self._shard(int(self.shard[at]))[self.row[at]]

    def _places(self, tokens: Sequence[str]) -> list[int]:
        try:
            return [self.place[token] for token in tokens]
        except KeyError as error:
            raise BadInput(
                self.folder, "token", repr(error.args[0]), f"one of its {len(self.tokens)}, such as {self.tokens[:1]}"
            ) from None

    def _table(self, at: int, progress: ProgressMode | None) -> Array:
        mode = progress or self.progress
        if mode not in self.modes:
            raise BadInput(self.folder, "progress", " and ".join(self.modes), f"{mode} (score it again for that)")
        if len(self.modes) == 1:
            return plain_table()
        return progress_table(float(self.best_m[at]), float(self.expert_m[at]), mode)

    def _shard(self, number: int) -> Array:
        return _mapped(self.folder / self.shards[number], int(self.rows[number]), row_width(self.size))


def open_rewards(folder: Path, *, vocabulary_sha256: str | None = None) -> RewardStore:
    """Opens the rewards in a folder; nothing but names and places is read.

    Args:
        folder: What `simscale rewards` wrote.
        vocabulary_sha256: Of the vocabulary file that a reader chooses from; the rewards must be for the same one.

    Raises:
        BadInput: There are none, they are damaged, or for another vocabulary.
    """
    manifest = read_manifest(folder)
    if manifest.configuration.get("stage") != STAGE:
        raise BadInput(
            folder, "stage", manifest.configuration.get("stage") or "generate", "what simscale rewards writes"
        )
    made_for, held = manifest.configuration["vocabulary"], manifest.configuration["modes"]
    if vocabulary_sha256 not in (None, made_for["sha256"]):
        found = f"{made_for['name']} of {made_for['entries']} trajectories (sha256 {made_for['sha256'][:16]})"
        raise BadInput(folder, "vocabulary", found, f"the one with sha256 {str(vocabulary_sha256)[:16]}")
    index = read_places(folder)
    tokens = tuple(index["token"].to_pylist())
    names = index["shard"].to_pylist()
    shards = tuple(sorted(set(names)))
    number = {name: i for i, name in enumerate(shards)}
    shard = np.array([number[name] for name in names], dtype=np.int64)
    return RewardStore(
        folder=folder,
        vocabulary=made_for["name"],
        vocabulary_sha256=made_for["sha256"],
        size=made_for["entries"],
        progress=cast(ProgressMode, manifest.configuration["progress"]),
        modes=tuple(mode for mode in MODES if mode in held),
        tokens=tokens,
        shards=shards,
        shard=shard,
        row=index["row"].to_numpy().astype(np.int64),
        rows=np.bincount(shard, minlength=len(shards)).astype(np.int64),
        best_m=index["best_m"].to_numpy(),
        expert_m=index["expert_m"].to_numpy(),
        failed=_flags(index["failed"].to_pylist()),
        place={token: i for i, token in enumerate(tokens)},
    )


def read_places(folder: Path) -> pa.Table:
    """The index of all units, sorted by token.

    Raises:
        BadInput: A table is absent or damaged, or two rows are of one token.
    """
    paths = sorted((folder / INDICES).glob("*.parquet"))
    tables = [read_table(path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if table.schema.names != PLACES.names:
            raise BadInput(path, "columns", ", ".join(table.schema.names), ", ".join(PLACES.names))
    index = pa.concat_tables([PLACES.empty_table(), *tables]).sort_by("token")
    tokens = index["token"].to_pylist()
    twice = next((a for a, b in pairwise(tokens) if a == b), None)
    if twice is not None:
        raise BadInput(folder, f"token {twice}", "rewarded twice", "one row a token")
    return index


def write_rewards(folder: Path, unit: str, rewards: Iterable[TokenRewards]) -> tuple[WrittenFile, ...]:
    """Writes the files of a unit under names of their own in `folder`; the coordinator puts them in place.

    Args:
        folder: Where unfinished files lie; made when absent.
        unit: The unit's key.
        rewards: Tokens are unique. Held in memory for one shard at a time.
    """
    files, places, coming = list[WrittenFile](), list[dict](), iter(rewards)
    while group := sorted(islice(coming, ROWS_A_SHARD), key=lambda one: one.token):
        content = io.BytesIO()
        rows = np.stack([one.coded.row for one in group])
        np.lib.format.write_array(content, rows, version=(1, 0), allow_pickle=False)
        path, sha256, size = write_new(folder, f"{unit}.npy", [content.getvalue()])
        name = f"{DATA}/{unit}-{sha256[:16]}.npy"
        files.append(WrittenFile(path=path, name=name, sha256=sha256, size=size, rows=len(group)))
        places += [_place(one, name, row) for row, one in enumerate(group)]
    path, sha256, size = write_new(folder, f"{unit}.{INDICES}", [table_bytes(places, PLACES)])
    name = f"{INDICES}/{unit}.parquet"
    return (*files, WrittenFile(path=path, name=name, sha256=sha256, size=size, rows=len(places)))


def rewards_digest(folder: Path) -> str:
    """Digest of the rewards: over their tokens, however they are split into units."""
    digest = hashlib.sha256()
    for row in read_places(folder).select(["token", "sha256", "best_m", "expert_m", "failed"]).to_pylist():
        digest.update(json.dumps(list(row.values())).encode() + b"\n")
    return digest.hexdigest()


def _place(one: TokenRewards, shard: str, row: int) -> dict:
    return {
        "token": one.token,
        "log": one.log,
        "driver": one.driver,
        "shard": shard,
        "row": row,
        "sha256": hashlib.sha256(one.coded.row.tobytes()).hexdigest(),
        "best_m": one.coded.best_m,
        "expert_m": one.coded.expert_m,
        "failed": [name for name, fails in zip(COLUMNS, one.coded.failed, strict=True) if fails],
    }


def _flags(failed: list[list[str]]) -> Bool[Array, "t 9"]:
    return np.array([[name in names for name in COLUMNS] for names in failed], dtype=bool).reshape(-1, len(COLUMNS))


@lru_cache(maxsize=OPEN_SHARDS)
def _mapped(path: Path, rows: int, width: int) -> Array:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise BadInput(path, "file", "absent", "a shard of the rewards") from None
    except (ValueError, EOFError, SyntaxError, OSError) as error:
        raise BadInput(path, "file", f"truncated or damaged ({error})", "a shard of the rewards") from None
    if mapped.shape != (rows, width) or mapped.dtype != np.uint8:
        found = f"{mapped.dtype} {mapped.shape}"
        raise BadInput(path, "content", found, f"uint8 {(rows, width)}, one row a token of the index")
    return mapped.view(np.ndarray)
