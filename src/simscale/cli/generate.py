"""`simscale generate`: what was asked for becomes settings; progress, pictures, numbers and an exit code come out."""

import os
import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path

from simscale.cli.commands import Generate
from simscale.cli.generation import GenerateReport, generate
from simscale.cli.pictures import write_report
from simscale.cli.speech import give, say
from simscale.engine.progress import LateProgress
from simscale.generate.counts import Counts
from simscale.generate.settings import GenerateSettings
from simscale.scene import BadInput


def run(command: Generate) -> int:
    """Exit 1 when units were set aside."""
    settings = settings_of(command)
    workers = len(os.sched_getaffinity(0)) if command.workers is None else command.workers
    if workers < 1:
        raise BadInput("command line", "--workers", workers, "1 or more")
    if not command.scenes:
        raise BadInput("command line", "SCENES", "empty", "at least one folder of scenes")
    with LateProgress("generate", noun="decision points") as watch:
        report = generate(
            command.scenes,
            command.out,
            settings=settings,
            vocabulary=command.vocabulary,
            workers=workers,
            on_start=watch.start,
            on_done=lambda told, tokens: watch.advance(tokens),
        )
    asked = asdict(settings) | {"perturb": asdict(settings.perturb), "vocabulary": str(command.vocabulary or "own")}
    path = write_report(command.out, command.scenes, report, settings=settings, asked=asked)
    for line in _lines(report):
        say(line)
    say(f"report: {path}")
    _open(path)
    if command.json:
        give(report.as_json())
    return 1 if report.failures else 0


def settings_of(command: Generate) -> GenerateSettings:
    """The settings that were asked for."""
    return GenerateSettings(
        experts=tuple(name.strip() for name in command.experts.split(",")),
        traffic=command.traffic,
        rounds=command.rounds,
        seed=command.seed,
        preset=command.preset,
        ego=command.ego,
    )


def _lines(report: GenerateReport) -> list[str]:
    logs = [_line(log, counts) for log, counts in report.by_log.items()]
    short = [f"{log}: {seconds:.1f} s, too short for a decision point" for log, seconds in report.too_short.items()]
    bare = [f"{log}: no map, which generate needs" for log in report.without_map]
    failed = [f"set aside: {f.item or f.unit} {f.step}: {f.error}" for f in report.failures]
    pooled = [_line("all", report.counts), _line("all, moving human", report.moving)]
    return [*logs, *short, *bare, *failed, *pooled, f"digest: {report.digest}"]


def _line(name: str, counts: Counts) -> str:
    whole = max(counts.rounds, 1)
    experts = [f"{who} {e.accepted} ({e.accepted / max(e.attempted, 1):.0%})" for who, e in counts.experts.items()]
    passed = f"first draw passed {counts.first_draw_passed / whole:.0%}, any {counts.passed / whole:.0%}"
    return f"{name}: {counts.rounds} attempted, {passed}, accepted: {', '.join(experts)}"


def _open(path: Path) -> None:
    """Opens the report where somebody sits in front of a display."""
    if sys.stderr.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(path.resolve().as_uri())
