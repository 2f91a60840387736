"""Rendered examples in `simscale-shards`: images in tar shards, everything else a planner is taught in a table.

```
data/<unit>-<sha16>.tar      JPEG files, <image>/<camera>.jpg
index/<unit>.parquet         where each image lies
examples/<unit>.parquet      a row for each example: what is told, what is taught, and which image it sees
```

Two experts' answers to one perturbed state are two examples of one image. Examples drawn by a renderer that is not
exact say beside the image how far it can be trusted.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from simscale.dataset.archive import Packed, archive_of, offsets_of
from simscale.dataset.example import Targets
from simscale.dataset.files import WrittenFile, write_new
from simscale.dataset.moment import Moment
from simscale.dataset.sensors import CameraImage
from simscale.dataset.shards import DATA, INDICES, MAX_SHARD, read_table
from simscale.dataset.tables import INDEX, table_bytes
from simscale.render import Trust, joined_trust
from simscale.scene import BadInput

EXAMPLES = "examples"
FOLDERS = (DATA, INDICES, EXAMPLES)
CODEC = "jpeg"

_TEXT, _FLOATS = pa.string(), pa.list_(pa.float32())
SCHEMA = pa.schema(
    {
        "token": _TEXT,
        "image": _TEXT,
        "log": _TEXT,
        "instant": pa.int32(),
        "expert": _TEXT,
        "round": pa.int32(),
        "is_sim": pa.bool_(),
        "status": _FLOATS,
        "trajectory": _FLOATS,
        "agent_states": _FLOATS,
        "agent_labels": pa.list_(pa.bool_()),
        "bev_semantic": pa.binary(),
    }
)
TRUST_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field("view_distance", pa.float32()),  # m
        pa.field("view_angle", pa.float32()),  # rad
        pa.field("coverage", pa.float32()),
        pa.field("filled", pa.float32()),
        pa.field("left_out", pa.int32()),
    ]
)
"""What a renderer adds that is not exact; see `render.Trust`."""
ARRAYS = {
    "status": (np.float32, (8,)),
    "trajectory": (np.float32, (8, 3)),
    "agent_states": (np.float32, (30, 5)),
    "agent_labels": (np.bool_, (30,)),
    "bev_semantic": (np.uint8, (128, 256)),
}
"""Type and shape of the columns that are arrays."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One image (or one a camera) with the moments that it shows; they differ in their future alone."""

    moments: tuple[Moment, ...]
    targets: Targets
    images: tuple[CameraImage, ...]

    @property
    def trust(self) -> Trust | None:
        """Of all images together; None where the renderer is exact."""
        trusts = [image.trust for image in self.images if image.trust is not None]
        pixels = [image.width * image.height for image in self.images if image.trust is not None]
        return joined_trust(trusts, pixels) if trusts else None


def write_rendered(folder: Path, unit: str, rendered: Sequence[Rendered]) -> tuple[WrittenFile, ...]:
    """Writes the three files of a unit under names of their own in `folder`; the coordinator puts them in place.

    Raises:
        BadInput: The shard would be too large.
    """
    rendered = sorted(rendered, key=lambda one: one.moments[0].image)
    pairs = [(one.moments[0], image) for one in rendered for image in one.images]
    packed = [Packed(name=f"{moment.image}/{image.camera}.jpg", content=image.jpeg) for moment, image in pairs]
    path, sha256, size = write_new(folder, f"{unit}.tar", archive_of(packed))
    shard = WrittenFile(path=path, name=f"{DATA}/{unit}-{sha256[:16]}.tar", sha256=sha256, size=size, rows=len(packed))
    if size > MAX_SHARD:
        raise BadInput(shard.name, "size", f"{size} bytes", f"at most {MAX_SHARD}: render smaller images")
    index = [
        {
            "member": one.name,
            "token": moment.image,
            "round": moment.round,
            "shard": shard.name,
            "offset": offset,
            "length": len(one.content),
            "sha256": hashlib.sha256(one.content).hexdigest(),
            "width": image.width,
            "height": image.height,
            "camera": image.camera,
            "codec": CODEC,
        }
        for one, (moment, image), offset in zip(packed, pairs, offsets_of(packed), strict=True)
    ]
    rows = [_row(moment, one) for one in rendered for moment in one.moments]
    schema = TRUST_SCHEMA if any(one.trust for one in rendered) else SCHEMA
    return (shard, _table(folder, unit, INDICES, index, INDEX), _table(folder, unit, EXAMPLES, rows, schema))


def _table(folder: Path, unit: str, kind: str, rows: list[dict], schema: pa.Schema) -> WrittenFile:
    path, sha256, size = write_new(folder, f"{unit}.{kind}", [table_bytes(rows, schema)])
    return WrittenFile(path=path, name=f"{kind}/{unit}.parquet", sha256=sha256, size=size, rows=len(rows))


def _row(moment: Moment, rendered: Rendered) -> dict:
    targets = rendered.targets
    return {
        "token": moment.token,
        "image": moment.image,
        "log": moment.log,
        "instant": moment.instant,
        "expert": moment.expert,
        "round": moment.round,
        "is_sim": moment.is_sim,
        "status": moment.status.tolist(),
        "trajectory": moment.trajectory.ravel().tolist(),
        "agent_states": targets.agent_states.ravel().tolist(),
        "agent_labels": targets.agent_labels.tolist(),
        "bev_semantic": targets.bev_semantic.tobytes(),
        **({} if rendered.trust is None else asdict(rendered.trust)),
    }


def read_index(folder: Path) -> list[dict]:
    """Where every image lies, sorted by image and camera."""
    rows = [row for path in _tables(folder, INDICES) for row in read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["token"], row["camera"]))


def read_rows(folder: Path) -> pa.Table:
    """A row for each example, sorted by token.

    Raises:
        BadInput: A table is damaged, or there is none.
    """
    tables = [read_table(path) for path in _tables(folder, EXAMPLES)]
    if not tables:
        raise BadInput(folder, EXAMPLES, "without a table", "what `simscale render` wrote")
    whole = pa.concat_tables(tables)
    if not set(SCHEMA.names) <= set(whole.column_names):
        raise BadInput(folder, EXAMPLES, f"with the columns {whole.column_names}", f"at least {SCHEMA.names}")
    return whole.sort_by("token")


def rendered_digest(folder: Path) -> str:
    """Digest of the rendered examples, however they are split into units."""
    digest = hashlib.sha256()
    for row in read_index(folder):
        digest.update(json.dumps([row["token"], row["camera"], row["sha256"]]).encode() + b"\n")
    for row in read_rows(folder).to_pylist():
        digest.update(row.pop("bev_semantic"))
        digest.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _tables(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).glob("*.parquet"))
