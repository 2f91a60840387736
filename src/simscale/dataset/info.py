"""What a dataset holds, in numbers."""

from dataclasses import dataclass
from pathlib import Path

from simscale.dataset.manifest import read_manifest
from simscale.dataset.shards import REJECTED, SCENES, read_table


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """Answers of one expert to the samples of one log."""

    log: str
    expert: str
    labelled: int
    accepted: int


@dataclass(frozen=True, kw_only=True)
class ReasonCount:
    """How often something was refused for one reason."""

    stage: str
    expert: str  # empty for a perturbation
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A dataset in numbers."""

    digest: str
    seed: int
    code_version: str
    bytes: int
    samples: int
    tokens: int  # decision points with at least one sample
    labels: tuple[LabelCount, ...]  # by log and expert
    rejections: tuple[ReasonCount, ...]  # the most frequent first


def info_of(folder: Path) -> DatasetInfo:
    """Reads the tables of a dataset.

    Raises:
        BadInput: There is no dataset, or a table cannot be read.
    """
    manifest = read_manifest(folder)
    pairs: set[tuple[str, int]] = set()
    labels: dict[tuple[str, str], list[int]] = {}
    reasons: dict[tuple[str, str, str], int] = {}
    for entry in manifest.files:
        if entry.file.startswith(f"{SCENES}/"):
            rows = read_table(folder / entry.file).select(["parent_token", "round", "log", "expert", "accepted"])
            for row in rows.to_pylist():
                pairs.add((row["parent_token"], row["round"]))
                count = labels.setdefault((row["log"], row["expert"]), [0, 0])
                count[0] += 1
                count[1] += bool(row["accepted"])
        elif entry.file.startswith(f"{REJECTED}/"):
            columns = read_table(folder / entry.file).select(["stage", "expert", "reason"])
            for row in columns.group_by(["stage", "expert", "reason"]).aggregate([([], "count_all")]).to_pylist():
                key = (row["stage"], row["expert"], row["reason"])
                reasons[key] = reasons.get(key, 0) + row["count_all"]
    return DatasetInfo(
        digest=manifest.digest,
        seed=manifest.seed,
        code_version=manifest.code_version,
        bytes=sum(entry.bytes for entry in manifest.files),
        samples=len(pairs),
        tokens=len({token for token, _ in pairs}),
        labels=tuple(
            LabelCount(log=log, expert=expert, labelled=of, accepted=ok)
            for (log, expert), (of, ok) in sorted(labels.items())
        ),
        rejections=tuple(
            ReasonCount(stage=stage, expert=expert, reason=reason, count=count)
            for (stage, expert, reason), count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        ),
    )
