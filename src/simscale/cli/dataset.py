"""`simscale dataset info` and `simscale dataset verify`."""

from dataclasses import asdict

from simscale.cli.commands import Dataset
from simscale.cli.speech import give, say
from simscale.dataset.info import DatasetInfo, info_of
from simscale.dataset.manifest import Manifest, read_manifest
from simscale.dataset.rewards import STAGE
from simscale.dataset.verify import faults_of
from simscale.render.trust import trust_line


def run(command: Dataset) -> int:
    """Exit 1 when `verify` finds a fault."""
    return _info(command) if command.action == "info" else _verify(command)


def _info(command: Dataset) -> int:
    manifest = read_manifest(command.folder)
    if manifest.configuration.get("stage") == "render":
        return _rendered_info(command, manifest)
    if manifest.configuration.get("stage") == STAGE:
        return _rewards_info(command, manifest)
    info = info_of(command.folder)
    if command.json:
        give(asdict(info))
    else:
        print("\n".join(_lines(info)))
    return 0


def _rendered_info(command: Dataset, manifest: Manifest) -> int:
    size = sum(entry.bytes for entry in manifest.files)
    if command.json:
        give({**manifest.counts, "bytes": size})
        return 0
    sensors = manifest.configuration["sensors"]
    print(f"{manifest.counts['images']} images for {manifest.counts['examples']} examples, {size / 1e6:.1f} MB")
    print(
        f"{manifest.configuration['renderer']}, {sensors['name']}, {sensors['size'][0]} x {sensors['size'][1]} pixels"
    )
    print("\n".join(f"  {who}: {count}" for who, count in manifest.counts["by_expert"].items()))
    if "trust" in manifest.counts:
        print(trust_line(manifest.counts["trust"]))
    print(f"streets: {', '.join(manifest.counts['streets'])}\ndigest {manifest.digest}")
    return 0


def _rewards_info(command: Dataset, manifest: Manifest) -> int:
    if command.json:
        give(manifest.counts)
        return 0
    counts, modes = manifest.counts, manifest.configuration["modes"]
    print(f"rewards of {counts['trajectories']} trajectories ({counts['vocabulary']}) at {counts['tokens']} tokens")
    print(f"{counts['bytes'] / 1e6:.1f} MB, {counts['bytes_a_token'] / 1e3:.1f} KB a token")
    print(f"progress as {' and '.join(modes)}; as {counts['progress']} where not said")
    print("\n".join(f"  {who}: {means['tokens']:.0f} tokens" for who, means in counts["by_driver"].items()))
    print(f"digest {manifest.digest}")
    return 0


def _verify(command: Dataset) -> int:
    faults = list(faults_of(command.folder))
    for fault in faults:
        say(fault)
    say(f"{command.folder}: {len(faults)} faults" if faults else f"{command.folder}: sound")
    if command.json:
        give({"faults": faults})
    return 1 if faults else 0


def _lines(info: DatasetInfo) -> list[str]:
    logs = sorted({count.log for count in info.labels})
    head = [
        f"{info.samples} samples from {info.tokens} decision points of {len(logs)} logs, {info.bytes / 1e6:.1f} MB",
        f"seed {info.seed}, version {info.code_version}",
        f"digest {info.digest}",
    ]
    labels = [f"  {row.log}  {row.expert}: {row.accepted} of {row.labelled} accepted" for row in info.labels]
    refused = [f"  {row.count:6d}  {row.stage}  {row.expert or '-'}  {row.reason}" for row in info.rejections]
    return [*head, "labels:", *labels, "rejected:", *refused]
