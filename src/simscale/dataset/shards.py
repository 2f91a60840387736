"""`simscale-shards` version 1: samples in tar shards, with Parquet tables beside them.

```
data/<unit>-<sha16>.tar      one recipe a sample; sorted, undated: the same bytes for the same samples
index/<unit>.parquet         where each recipe lies
scenes/<unit>.parquet        a row for each expert's label
rejections/<unit>.parquet    what was tried and refused, and why
manifest/<n>.json            the files of one state of the dataset, each with its sha256
manifest.json                written last: the newest of them
```
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simscale.dataset.archive import Packed, archive_of, offsets_of
from simscale.dataset.files import WrittenFile, write_new
from simscale.dataset.recipe import recipe_of, sample_of
from simscale.dataset.tables import (
    INDEX,
    LABELS,
    REJECTIONS,
    SCHEMA_VERSION,
    VERSION_KEY,
    label_rows,
    rejection_of,
    rejection_row,
    table_bytes,
)
from simscale.generate.sample import Rejection, Sample
from simscale.scene import BadInput

DATA, INDICES, SCENES, REJECTED = "data", "index", "scenes", "rejections"
FOLDERS = (DATA, INDICES, SCENES, REJECTED)
MAX_SHARD = 512_000_000  # bytes


@dataclass(frozen=True, kw_only=True)
class UnitFiles:
    """The finished files of one unit, not yet in their places."""

    files: tuple[WrittenFile, ...]


@dataclass(frozen=True, kw_only=True)
class Member:
    """Where a sample's recipe lies."""

    member: str
    token: str  # of the decision point
    round: int
    shard: str
    offset: int
    length: int
    sha256: str


def write_unit(folder: Path, unit: str, samples: Sequence[Sample], rejections: Sequence[Rejection]) -> UnitFiles:
    """Writes the four files of a unit under names of their own in `folder`; the coordinator puts them in place.

    Args:
        folder: Where unfinished files lie; made when absent.
        unit: The unit's key.
        samples: In any order; pairs of token and round are unique.
        rejections: In any order.
    """
    samples = sorted(samples, key=lambda s: (s.parent_token, s.round))
    rejections = sorted(rejections, key=lambda r: (r.log, r.token, r.round, r.stage, r.expert, r.reason))
    packed = [Packed(name=f"{sample.token}.npz", content=recipe_of(sample)) for sample in samples]
    members = [
        Member(
            member=one.name,
            token=sample.parent_token,
            round=sample.round,
            shard="",
            offset=offset,
            length=len(one.content),
            sha256=hashlib.sha256(one.content).hexdigest(),
        )
        for one, sample, offset in zip(packed, samples, offsets_of(packed), strict=True)
    ]
    path, sha256, size = write_new(folder, f"{unit}.tar", archive_of(packed))
    shard = WrittenFile(path=path, name=f"{DATA}/{unit}-{sha256[:16]}.tar", sha256=sha256, size=size, rows=len(samples))
    if size > MAX_SHARD:
        raise BadInput(shard.name, "size", f"{size} bytes", f"at most {MAX_SHARD}: use smaller units")
    index = [vars(member) | {"shard": shard.name, "codec": "recipe"} for member in members]
    labels = [row for sample in samples for row in label_rows(sample)]
    refused = [rejection_row(rejection) for rejection in rejections]
    tables = ((INDICES, index, INDEX), (SCENES, labels, LABELS), (REJECTED, refused, REJECTIONS))
    return UnitFiles(files=(shard, *(_table(folder, unit, *table) for table in tables)))


def _table(folder: Path, unit: str, kind: str, rows: list[dict], schema: pa.Schema) -> WrittenFile:
    path, sha256, size = write_new(folder, f"{unit}.{kind}", [table_bytes(rows, schema)])
    return WrittenFile(path=path, name=f"{kind}/{unit}.parquet", sha256=sha256, size=size, rows=len(rows))


def read_members(folder: Path) -> list[Member]:
    """Where every sample lies, sorted by token and round."""
    rows = [row for path in _tables(folder, INDICES) for row in read_table(path).to_pylist()]
    kept = Member.__dataclass_fields__
    members = [Member(**{key: row[key] for key in kept}) for row in rows if row["codec"] == "recipe"]
    return sorted(members, key=lambda m: (m.token, m.round))


def read_member(folder: Path, member: Member) -> bytes:
    """A sample's recipe, checked against its digest.

    Raises:
        BadInput: The bytes are not those that were written.
    """
    shard = folder / member.shard
    try:
        with shard.open("rb") as file:
            file.seek(member.offset)
            recipe = file.read(member.length)
    except FileNotFoundError as error:
        raise BadInput(shard, "file", "absent", "a shard of the dataset") from error
    if hashlib.sha256(recipe).hexdigest() != member.sha256:
        raise BadInput(shard, member.member, "damaged", f"bytes with sha256 {member.sha256}")
    return recipe


def read_samples(folder: Path) -> Iterator[Sample]:
    """All samples, sorted by token and round."""
    for member in read_members(folder):
        yield sample_of(read_member(folder, member), name=f"{folder / member.shard}:{member.member}")


def read_rejections(folder: Path) -> Iterator[Rejection]:
    """All rejections, unit by unit."""
    for path in _tables(folder, REJECTED):
        for row in read_table(path).to_pylist():
            yield rejection_of(row)


def digest_of(folder: Path) -> str:
    """Digest of the dataset: over its samples by token and round, however they are split into units."""
    digest = hashlib.sha256()
    for member in read_members(folder):
        digest.update(json.dumps([member.token, member.round, member.sha256]).encode() + b"\n")
    return digest.hexdigest()


def read_table(path: Path) -> pa.Table:
    """A table of the dataset.

    Raises:
        BadInput: It is absent, damaged, or of a newer version.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise BadInput(path, "file", "absent", "a table of the dataset") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(path, "file", "damaged", "a Parquet table") from error
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise BadInput(path, "schema_version", version, SCHEMA_VERSION)
    return table


def _tables(folder: Path, kind: str) -> list[Path]:
    if not folder.is_dir():
        raise BadInput(folder, "folder", "absent", "a dataset")
    return sorted((folder / kind).glob("*.parquet"))
