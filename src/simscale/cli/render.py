"""`simscale render`: images of samples, or of logs' own decision points, ahead of time."""

import os
from dataclasses import replace

from simscale.cli.commands import Render
from simscale.cli.rendering import RenderReport, render
from simscale.cli.speech import give, say
from simscale.dataset.renderers import RENDERERS
from simscale.dataset.sensors import SENSORS, Sensors
from simscale.dataset.sources import Source, logged_sources, sample_sources
from simscale.engine.progress import progress
from simscale.render.trust import trust_line
from simscale.scene import BadInput


def run(command: Render) -> int:
    """Exit 1 when units were set aside."""
    workers = len(os.sched_getaffinity(0)) if command.workers is None else command.workers
    if workers < 1:
        raise BadInput("command line", "--workers", workers, "1 or more")
    if command.renderer not in RENDERERS:
        raise BadInput("command line", "--renderer", repr(command.renderer), " or ".join(RENDERERS))
    if (command.renderer == "splats") != (command.assets is not None):
        found = "absent" if command.assets is None else f"{command.assets} with the renderer raycast"
        raise BadInput("command line", "--assets", found, "with --renderer splats, what simscale reconstruct wrote")
    sources, sensors = _sources(command), _sensors(command)
    items = sum(len(source.items) for source in sources)
    with progress("render", total=items, noun="states") as advance:
        report = render(
            sources,
            command.out,
            renderer=command.renderer,
            assets=command.assets,
            sensors=sensors,
            workers=workers,
            on_done=lambda told: advance(len(told.unit.items)),
        )
    for line in _lines(report):
        say(line)
    if command.json:
        give(report.as_json())
    return 1 if report.failures else 0


def _sources(command: Render) -> list[Source]:
    if not command.samples:
        raise BadInput("command line", "SAMPLES", "empty", "a dataset, or folders of scenes with --logged")
    if command.logged:
        return logged_sources(command.samples)
    dataset, *more = command.samples
    if more:
        raise BadInput("command line", "SAMPLES", f"{len(command.samples)} datasets", "one for each --out")
    return sample_sources(dataset, command.scenes)


def _sensors(command: Render) -> Sensors:
    sensors = SENSORS[command.sensors]
    if command.size is None:
        return sensors
    if min(command.size) < 8 or max(command.size) > 8192:
        raise BadInput("command line", "--size", command.size, "height and width of 8 to 8192 pixels")
    return replace(sensors, size=command.size)


def _lines(report: RenderReport) -> list[str]:
    whose = ", ".join(f"{count} of {who}" for who, count in report.by_expert.items())
    failed = [f"set aside: {f.item or f.unit} {f.step}: {f.error}" for f in report.failures]
    trusted = [trust_line(report.trust)] if report.trust else []
    made = f"{report.images} images for {report.examples} examples ({whose})"
    return [*failed, made, *trusted, f"digest: {report.digest}"]
