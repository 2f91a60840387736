"""Rendered examples in memory: every image decoded once, a few thousand of 64 x 256 pixels are a few hundred MB."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Int, UInt8

from simscale.dataset.manifest import Manifest, read_manifest
from simscale.dataset.rendered import ARRAYS, read_index, read_rows
from simscale.dataset.sensors import decoded
from simscale.scene import BadInput

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Examples:
    """`n` examples, which see `m` images; `images[image[i]]` is what example i sees."""

    token: tuple[str, ...]
    log: tuple[str, ...]
    expert: tuple[str, ...]  # who drove the future; "human" for logged ones
    round: Int[Array, " n"]
    is_sim: Bool[Array, " n"]
    images: UInt8[Array, "m 3 h w"]
    image: Int[Array, " n"]
    status: Float32[Array, "n 8"]
    trajectory: Float32[Array, "n 8 3"]
    agent_states: Float32[Array, "n 30 5"]
    agent_labels: Bool[Array, "n 30"]
    bev_semantic: UInt8[Array, "n 128 256"]

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.token)

    def rgb(self, index: Int[Array, " b"]) -> UInt8[Array, "b 3 h w"]:
        """Images of some examples."""
        return self.images[self.image[index]]


def rendered_manifest(folder: Path) -> Manifest:
    """The manifest of a rendered dataset.

    Raises:
        BadInput: It is something else, or not complete.
    """
    manifest = read_manifest(folder)
    stage = manifest.configuration.get("stage")
    if stage != "render":
        raise BadInput(folder, "dataset", f"of simscale {stage or 'generate'}", "what `simscale render` wrote")
    return manifest


def read_examples(folder: Path, *, size: tuple[int, int]) -> Examples:
    """All examples of a rendered dataset, sorted by token.

    Args:
        folder: What `simscale render --sensors ltf` wrote.
        size: Height and width that the planner reads.

    Raises:
        BadInput: No such dataset, images that no planner reads, another size, or a damaged file.
    """
    sensors = rendered_manifest(folder).configuration["sensors"]
    if not sensors["stitched"]:
        raise BadInput(
            folder, "images", f"single cameras (profile {sensors['name']})", "a planner's view, --sensors ltf"
        )
    if tuple(sensors["size"]) != size:
        raise BadInput(
            folder, "images", f"{sensors['size'][0]} x {sensors['size'][1]} pixels", f"{size[0]} x {size[1]}"
        )
    index = read_index(folder)
    images = np.empty((len(index), 3, *size), dtype=np.uint8)
    for place, row, content in zip(range(len(index)), index, contents_of(folder, index), strict=True):
        images[place] = _image(content, row, folder, size).transpose(2, 0, 1)
    table = read_rows(folder)
    place_of = {row["token"]: place for place, row in enumerate(index)}
    try:
        image = np.array([place_of[name] for name in table["image"].to_pylist()], dtype=np.int64)
    except KeyError as error:
        raise BadInput(folder, "index", f"without an image of {error}", "an image for each example") from None
    return Examples(
        token=tuple(table["token"].to_pylist()),
        log=tuple(table["log"].to_pylist()),
        expert=tuple(table["expert"].to_pylist()),
        round=table["round"].to_numpy().astype(np.int64),
        is_sim=np.array(table["is_sim"].to_pylist(), dtype=bool),
        images=images,
        image=image,
        **{name: _array(table, name, folder) for name in ARRAYS},
    )


def contents_of(folder: Path, index: Sequence[dict]) -> list[bytes]:
    """Bytes of every image, shard by shard, checked against their digests."""
    contents = {}
    for shard in sorted({row["shard"] for row in index}):
        try:
            whole = (folder / shard).read_bytes()
        except FileNotFoundError:
            raise BadInput(folder / shard, "file", "absent", "a shard of the dataset") from None
        for row in index:
            if row["shard"] == shard:
                content = whole[row["offset"] : row["offset"] + row["length"]]
                if hashlib.sha256(content).hexdigest() != row["sha256"]:
                    raise BadInput(folder / shard, row["member"], "damaged", f"bytes with sha256 {row['sha256']}")
                contents[row["member"]] = content
    return [contents[row["member"]] for row in index]


def _image(content: bytes, row: dict, folder: Path, size: tuple[int, int]) -> UInt8[Array, "h w 3"]:
    try:
        image = decoded(content)
    except ValueError as error:
        raise BadInput(folder / row["shard"], row["member"], f"unreadable ({error})", "a JPEG image") from error
    if image.shape != (*size, 3):
        raise BadInput(folder / row["shard"], row["member"], image.shape, (*size, 3))
    return image


def _array(table: pa.Table, name: str, folder: Path) -> Array:
    dtype, shape = ARRAYS[name]
    column = table[name].combine_chunks()
    if name == "bev_semantic":
        flat = np.frombuffer(b"".join(column.to_pylist()), dtype=dtype)
    else:
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(dtype)
    if len(flat) != len(table) * np.prod(shape):
        raise BadInput(folder, name, f"{len(flat)} numbers", f"{shape} for each of {len(table)} examples")
    return flat.reshape(len(table), *shape)


def concatenated(parts: Sequence[Examples]) -> Examples:
    """Several sets as one, in order."""
    first = np.cumsum([0, *(len(part.images) for part in parts)])
    arrays = ("round", "is_sim", *ARRAYS)
    return Examples(
        token=tuple(name for part in parts for name in part.token),
        log=tuple(name for part in parts for name in part.log),
        expert=tuple(name for part in parts for name in part.expert),
        images=np.concatenate([part.images for part in parts]),
        image=np.concatenate([part.image + begin for part, begin in zip(parts, first, strict=False)]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
    )
