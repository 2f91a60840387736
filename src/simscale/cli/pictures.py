"""The pictures of a dataset: contact sheets, funnel, report; made from its files and the scenes it came from."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from simscale.cli.generation import GenerateReport
from simscale.dataset.files import write_whole
from simscale.dataset.manifest import read_manifest
from simscale.dataset.recipe import sample_of
from simscale.dataset.shards import read_member, read_members, read_rejections
from simscale.generate.sample import Rejection, Sample
from simscale.generate.settings import GenerateSettings
from simscale.scene import BadInput, Scene
from simscale.scene.file import read_id, read_scene, scene_files
from simscale.viz.contact_sheet import sheet_of_rejections, sheet_of_samples, spread, varied
from simscale.viz.funnel import funnel
from simscale.viz.image import png_of
from simscale.viz.page import Picture
from simscale.viz.report import Facts, report_html

PICTURED = 36
"""Samples, and rejections, on a contact sheet."""
REPORT = "report.html"


def write_report(
    out: Path, scenes: Sequence[Path], report: GenerateReport, *, settings: GenerateSettings, asked: dict[str, object]
) -> Path:
    """Draws what a generation came to and writes `report.html` with its pictures beside it.

    Args:
        out: The dataset.
        scenes: Folders of scenes, or scene files, that it came from.
        report: What the generation came to.
        settings: What was generated.
        asked: Settings in words, for the report.
    """
    scene_of = scenes_by_id(scenes)
    drawn = {
        "funnel": Picture(
            title="Funnel",
            caption="Pairs of token and round, and the first reason against each draw and each answer.",
            png=png_of(funnel(report.counts)),
        ),
        "accepted": Picture(
            title="Accepted samples",
            caption="From the perturbed state on. Boxes: everybody then; faint: 4 s later.",
            png=png_of(sheet_of_samples(chosen_samples(out), scene_of)),
        ),
        "rejected": Picture(
            title="Rejected",
            caption="Each reason in turn. Boxes: everybody at the moment that shows the reason best.",
            png=png_of(sheet_of_rejections(chosen_rejections(out), scene_of, vehicle_of=settings.vehicle_of)),
        ),
    }
    for name, picture in drawn.items():
        write_whole(out / f"{name}.png", picture.png)
    facts = Facts(
        counts=report.counts,
        moving=report.moving,
        by_log=report.by_log,
        unused={log: f"too short ({seconds:.1f} s)" for log, seconds in report.too_short.items()}
        | dict.fromkeys(report.without_map, "no map"),
        tokens=report.tokens,
        digest=report.digest,
        seed=report.seed,
        version=str(report.as_json()["version"]),
        configuration=asked,
        failures=[f"{f.unit} {f.item} {f.step}: {f.error}" for f in report.failures],
    )
    write_whole(out / REPORT, report_html(facts, list(drawn.values())).encode())
    return out / REPORT


def chosen_samples(dataset: Path) -> list[Sample]:
    """Samples at even distances over all tokens and rounds."""
    members = spread(read_members(dataset), PICTURED)
    return [sample_of(read_member(dataset, member), name=member.member) for member in members]


def chosen_rejections(dataset: Path) -> list[Rejection]:
    """Rejections of every reason."""
    return varied(read_rejections(dataset), PICTURED, kind_of=lambda r: (r.expert, r.stage, r.reason))


def scenes_by_id(folders: Sequence[Path]) -> Callable[[str], Scene]:
    """Reads scenes by their id, the last few kept at hand.

    Raises:
        BadInput: Later, for a scene that none of the folders holds.
    """
    files = {read_id(path): path for folder in folders for path in scene_files(folder)}

    @lru_cache(maxsize=4)
    def scene_of(log: str) -> Scene:
        if log not in files:
            where = ", ".join(str(folder) for folder in folders) or "nowhere"
            raise BadInput(
                where, "scene", f"without {log}", "all scenes of the dataset (name their folder by --scenes)"
            )
        return read_scene(files[log])

    return scene_of


def scenes_of_dataset(dataset: Path, folders: Sequence[Path]) -> Callable[[str], Scene]:
    """The scenes that a dataset came from: in the given folders, else where its manifest says they lay."""
    if folders:
        return scenes_by_id(folders)
    lay = [Path(row["path"]) for row in read_manifest(dataset).inputs]
    return scenes_by_id([path for path in lay if path.is_file()])
