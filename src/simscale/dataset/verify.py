"""Checks a dataset against its own books: every file, every member of every shard, every row."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from simscale.dataset import rendered, rewards
from simscale.dataset.files import sha256_of
from simscale.dataset.loading import contents_of
from simscale.dataset.manifest import FileEntry, Manifest, read_manifest
from simscale.dataset.recipe import sample_of
from simscale.dataset.rewards import STAGE
from simscale.dataset.rewards_code import is_row
from simscale.dataset.sensors import decoded
from simscale.dataset.shards import DATA, FOLDERS, SCENES, Member, digest_of, read_member, read_members, read_table
from simscale.scene import BadInput


def faults_of(folder: Path) -> Iterator[str]:
    """Everything that is not as the books say, a sentence each; nothing where the dataset is sound.

    Raises:
        BadInput: There is no dataset, or its manifest cannot be read.
    """
    manifest = read_manifest(folder)
    stage = manifest.configuration.get("stage", "")
    damaged = list(_file_faults(folder, manifest))
    yield from damaged
    folders = {"render": rendered.FOLDERS, STAGE: rewards.FOLDERS}.get(stage, FOLDERS)
    yield from (f"{name}: not in the manifest" for name in _strangers(folder, manifest, folders))
    if damaged:
        return  # what follows would say the same again
    if stage in ("render", STAGE):
        yield from _rendered_faults(folder, manifest) if stage == "render" else _reward_faults(folder, manifest)
        return
    members = read_members(folder)
    yield from _member_faults(folder, members)
    yield from _row_faults(folder, manifest, members)
    if digest_of(folder) != manifest.digest:
        yield f"{folder}: its samples have the digest {digest_of(folder)}, the manifest says {manifest.digest}"


def _file_faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    for entry in manifest.files:
        path = folder / entry.file
        if not path.is_file():
            yield f"{entry.file}: absent"
        elif path.stat().st_size != entry.bytes:
            yield f"{entry.file}: {path.stat().st_size} bytes, the manifest says {entry.bytes}"
        elif sha256_of(path) != entry.sha256:
            yield f"{entry.file}: damaged (sha256 differs from the manifest's)"


def _rendered_faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Faults of rendered examples: images that are not what the index says, examples without one."""
    index = rendered.read_index(folder)
    for row, content in zip(index, contents_of(folder, index), strict=True):
        try:
            size = decoded(content).shape[:2]
        except ValueError as fault:
            yield f"{row['shard']}:{row['member']}: no JPEG image ({fault})"
            continue
        if size != (row["height"], row["width"]):
            yield f"{row['shard']}:{row['member']}: {size}, the index says {(row['height'], row['width'])}"
    seen, drawn = set(rendered.read_rows(folder)["image"].to_pylist()), {row["token"] for row in index}
    for image in sorted(seen ^ drawn):
        yield f"image {image}: in one of {rendered.EXAMPLES}/ and index/ only"
    if (digest := rendered.rendered_digest(folder)) != manifest.digest:
        yield f"{folder}: its examples have the digest {digest}, the manifest says {manifest.digest}"


def _reward_faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Faults of rewards: rows that are not what the index says, or that no scores can have."""
    store = rewards.open_rewards(folder)
    index = rewards.read_places(folder)
    digests = index["sha256"].to_pylist()
    for at, token in enumerate(store.tokens):
        row, measures = store.row_of(token), (store.best_m[at], store.expert_m[at])
        if hashlib.sha256(row.tobytes()).hexdigest() != digests[at]:
            yield f"token {token}: its row is not the one that the index names"
        elif not is_row(row, size=store.size):
            yield f"token {token}: its row holds what no scores can be"
        if not 0.0 <= measures[1] <= measures[0] < float("inf"):
            yield f"token {token}: progress is measured by {measures}, expected numbers of 0 or more"
    for number, shard in enumerate(store.shards):
        if sorted(store.row[store.shard == number]) != list(range(store.rows[number])):
            yield f"{shard}: the index does not name each of its rows once"
    if (digest := rewards.rewards_digest(folder)) != manifest.digest:
        yield f"{folder}: its rewards have the digest {digest}, the manifest says {manifest.digest}"


def _strangers(folder: Path, manifest: Manifest, folders: Sequence[str]) -> list[str]:
    known = {entry.file for entry in manifest.files}
    found = [
        f"{kind}/{path.name}" for kind in folders if (folder / kind).is_dir() for path in (folder / kind).iterdir()
    ]
    return sorted(set(found) - known)


def _member_faults(folder: Path, members: list[Member]) -> Iterator[str]:
    for member in members:
        try:
            sample = sample_of(read_member(folder, member), name=f"{member.shard}:{member.member}")
        except BadInput as fault:
            yield str(fault)
            continue
        if (sample.parent_token, sample.round) != (member.token, member.round):
            yield f"{member.shard}:{member.member}: holds {sample.token}, the index says {member.token}"
    for (token, round_), times in Counter((member.token, member.round) for member in members).items():
        if times > 1:
            yield f"token {token} round {round_}: {times} samples"


def _row_faults(folder: Path, manifest: Manifest, members: list[Member]) -> Iterator[str]:
    labelled = set()
    for entry in manifest.files:
        if entry.file.endswith(".parquet"):
            table = read_table(folder / entry.file)
            if table.num_rows != entry.rows:
                yield f"{entry.file}: {table.num_rows} rows, the manifest says {entry.rows}"
            if entry.file.startswith(f"{SCENES}/"):
                labelled |= set(zip(table["parent_token"].to_pylist(), table["round"].to_pylist(), strict=True))
        elif entry.file.startswith(f"{DATA}/"):
            yield from _name_fault(entry)
    for token, round_ in sorted(labelled ^ {(member.token, member.round) for member in members}):
        yield f"token {token} round {round_}: in one of index/ and scenes/ only"


def _name_fault(entry: FileEntry) -> Iterator[str]:
    if entry.sha256[:16] not in entry.file:
        yield f"{entry.file}: its name does not carry its digest"
