"""What `simscale render` does: decision points or samples in, images and targets out.

A unit is a few dozen images of one log. Its files depend on the scene, the scenery, the samples and the sensors alone,
so any number of workers, in any order, leaves the same bytes; an interrupted run goes on where it stopped.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numba

from simscale import __version__
from simscale.dataset.example import targets_of
from simscale.dataset.files import sha256_of
from simscale.dataset.manifest import NEWEST, commit_manifest, entries_of, read_manifest
from simscale.dataset.rendered import FOLDERS, Rendered, rendered_digest, write_rendered
from simscale.dataset.renderers import RENDERERS, asset_of
from simscale.dataset.sensors import Sensors, images_of
from simscale.dataset.sources import Source, moments_of, scene_at
from simscale.engine.failures import Failure, during
from simscale.engine.run import Progress, RunSettings, run
from simscale.engine.units import Finished, Unit, units_of
from simscale.render import Trust
from simscale.render.trust import trust_summary

ITEMS_A_UNIT = {"ltf": 64, "full": 16}
"""Images, or sets of them, that are done, committed and, after a crash, done again as a whole: a few seconds."""


@dataclass(frozen=True, kw_only=True)
class RenderReport:
    """What a run came to; `as_json` is what `--json` prints."""

    images: int
    examples: int
    by_expert: dict[str, int]
    digest: str
    streets: tuple[str, ...]
    failures: tuple[Failure, ...]
    resumed: int  # units that an earlier run had done
    trust: dict[str, float | int] | None = None  # means and worst values over images; None where the renderer is exact

    def as_json(self) -> dict[str, Any]:
        """Counts and digest."""
        return {
            "images": self.images,
            "examples": self.examples,
            "by_expert": self.by_expert,
            "digest": self.digest,
            "streets": list(self.streets),
            "version": __version__,
            "failures": [asdict(failure) for failure in self.failures],
            **({} if self.trust is None else {"trust": self.trust}),
        }


def render(
    sources: Sequence[Source],
    out: Path,
    *,
    renderer: str,
    sensors: Sensors,
    assets: Path | None = None,
    workers: int = 1,
    on_start: Callable[[int], None] = lambda items: None,
    on_done: Callable[[Progress], None] = lambda progress: None,
) -> RenderReport:
    """Renders ahead of time.

    Args:
        sources: What to render.
        out: The folder; a run that finds one of its own there goes on with it.
        renderer: A name in RENDERERS.
        sensors: Which cameras, in what size.
        assets: Of reconstructed streets, for the renderer `splats`.
        workers: Processes.
        on_start: Told the number of items.
        on_done: Told after every unit.

    Raises:
        BadInput: An `out` that holds something else, a scene without scenery or asset, a rig that lacks a camera.
    """
    if (out / NEWEST).exists():
        read_manifest(out)  # refuses a folder that is complete as something else
    drawn_from = _drawn_from(sources, renderer, assets)
    configuration = {
        "stage": "render",
        "version": __version__,
        "renderer": renderer,
        "sensors": asdict(sensors),
        "assets": {name: digest for name, digest in sorted(set(drawn_from.values()))},
        "datasets": sorted({source.digest for source in sources if source.dataset}),
    }
    units = [unit for source in sources for unit in _units(source, configuration, drawn_from[source.log][1])]
    on_start(sum(len(unit.items) for unit in units))
    by_log = {source.log: source for source in sources}
    work = partial(_work, sources=by_log, renderer=renderer, sensors=sensors, assets=assets, alone=workers == 1)
    report = run(
        units,
        work,
        out=out,
        folders=FOLDERS,
        configuration=configuration | {"logs": {source.log: source.sha256 for source in sources}},
        settings=RunSettings(workers=workers),
        on_done=on_done,
    )
    trusts = [Trust(**row) for finished in report.done.values() for row in finished.summary.get("trusts", ())]
    counts = Counter[str]()
    for finished in report.done.values():
        counts.update(finished.summary["by_expert"])
    made = RenderReport(
        images=sum(finished.summary["images"] for finished in report.done.values()),
        examples=counts.total(),
        by_expert=dict(sorted(counts.items())),
        digest="" if report.failures else rendered_digest(out),
        streets=tuple(sorted({source.street for source in sources})),
        failures=report.failures,
        resumed=report.resumed,
        trust=trust_summary(trusts) if trusts else None,
    )
    if not report.failures:
        _commit(out, report.done.values(), sources, configuration, made)
    return made


def _commit(out: Path, done: Any, sources: Sequence[Source], configuration: dict, made: RenderReport) -> None:
    rows = [{"log": s.log, "sha256": s.sha256, "path": str(s.path.resolve()), "street": s.street} for s in sources]
    commit_manifest(
        out,
        files=entries_of(file for finished in done for file in finished.files),
        digest=made.digest,
        configuration=configuration,
        seed=0,  # nothing is drawn at random
        code_version=__version__,
        inputs=tuple(rows),
        counts={key: value for key, value in made.as_json().items() if key not in ("version", "failures")},
    )


def _drawn_from(sources: Sequence[Source], renderer: str, assets: Path | None) -> dict[str, tuple[str, str]]:
    """What the renderer draws each log from, and its digest; all are there before any work is done."""
    digests: dict[Path, str] = {}
    found = {}
    for source in sources:
        scene, folder = scene_at(source.path, source.sha256), source.path.parent
        path = asset_of(renderer, scene, folder, assets)
        if path not in digests:
            digests[path] = sha256_of(path)
        found[source.log] = (scene.id if renderer == "splats" else path.name, digests[path])
    return found


def _units(source: Source, configuration: dict[str, Any], asset: str) -> list[Unit]:
    """Units whose keys do not depend on the other logs of the run."""
    own = {name: configuration[name] for name in ("stage", "version", "renderer", "sensors")}
    own |= {"asset": asset, "log": source.sha256, "dataset": source.digest}
    return units_of(source.items, size=ITEMS_A_UNIT[own["sensors"]["name"]], configuration=own)


def _work(
    unit: Unit,
    unfinished: Path,
    *,
    sources: dict[str, Source],
    renderer: str,
    sensors: Sensors,
    assets: Path | None,
    alone: bool,
) -> Finished:
    """Renders one unit and leaves its files in `unfinished`."""
    source = sources[_log_of(unit.items[0], sources)]
    scene = scene_at(source.path, source.sha256)
    draws = RENDERERS[renderer](scene, source.path.parent, rays=sensors.rays, assets=assets)
    if not alone:  # every core has a process of its own
        numba.set_num_threads(1)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
    rendered = []
    for item in unit.items:
        with during(item, "render"):
            moments = moments_of(source, item)
            first = moments[0]
            rendered.append(
                Rendered(
                    moments=tuple(moments),
                    targets=targets_of(scene.road, first.tracks, first.state),
                    images=tuple(images_of(first, scene, renderer=draws, sensors=sensors)),
                )
            )
    summary = {
        "images": sum(len(one.images) for one in rendered),
        "by_expert": dict(Counter(moment.expert for one in rendered for moment in one.moments)),
    }
    trusts = [one.trust for one in rendered if one.trust is not None]
    if trusts:
        summary["trusts"] = [asdict(trust) for trust in trusts]
    return Finished(files=write_rendered(unfinished, unit.key, rendered), summary=summary)


def _log_of(item: str, sources: dict[str, Source]) -> str:
    """The log that an item belongs to: tokens begin with its id."""
    return next(log for log, source in sources.items() if item in source.items)
