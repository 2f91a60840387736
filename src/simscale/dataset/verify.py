"""Checks a dataset against its own books: every file, every member of every shard, every row."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from simscale.dataset.files import sha256_of
from simscale.dataset.manifest import FileEntry, Manifest, read_manifest
from simscale.dataset.recipe import sample_of
from simscale.dataset.shards import DATA, FOLDERS, SCENES, Member, digest_of, read_member, read_members, read_table
from simscale.scene import BadInput


def faults_of(folder: Path) -> Iterator[str]:
    """Everything that is not as the books say, a sentence each; nothing where the dataset is sound.

    Raises:
        BadInput: There is no dataset, or its manifest cannot be read.
    """
    manifest = read_manifest(folder)
    damaged = list(_file_faults(folder, manifest))
    yield from damaged
    yield from (f"{name}: not in the manifest" for name in _strangers(folder, manifest))
    if damaged:
        return  # what follows would say the same again
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


def _strangers(folder: Path, manifest: Manifest) -> list[str]:
    known = {entry.file for entry in manifest.files}
    found = [
        f"{kind}/{path.name}" for kind in FOLDERS if (folder / kind).is_dir() for path in (folder / kind).iterdir()
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
