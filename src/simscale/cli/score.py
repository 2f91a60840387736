"""`simscale score`: plans against scenes, as NAVSIM's scripts score them; a table, and numbers with intervals."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simscale import __version__
from simscale.cli.commands import Score
from simscale.cli.speech import give, say
from simscale.dataset.files import sha256_of, write_whole
from simscale.engine.progress import LateProgress, progress
from simscale.evaluate.plans import Plans, read_plans
from simscale.evaluate.prepare import checkpoint_path
from simscale.evaluate.protocol import Protocol, protocol_of
from simscale.evaluate.score_planner import tokens_in, write_planned
from simscale.evaluate.score_run import Groups, ScoreRun, configuration_of, read_groups, scenes_by_id, scored
from simscale.evaluate.score_summary import score_summary
from simscale.evaluate.score_unit import DRIVERS, Task, log_of
from simscale.evaluate.table import table_csv
from simscale.scene import BadInput

MANIFEST, SUMMARY, TABLE, PLANS = "manifest.json", "summary.json", "scores.csv", "plans.npz"
LISTED = 20
"""Failures that people are shown; the summary has all."""
SHORT = {
    "no_at_fault_collisions": "NC",
    "drivable_area_compliance": "DAC",
    "driving_direction_compliance": "DDC",
    "traffic_light_compliance": "TLC",
    "ego_progress": "EP",
    "time_to_collision_within_bound": "TTC",
    "lane_keeping": "LK",
    "history_comfort": "HC",
    "comfort": "C",
    "two_frame_extended_comfort": "EC",
    "score": "score",
}
"""Heads of the table."""
PLAIN_WIDTH = 100
"""Characters of a line where nobody watches."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What was asked for."""

    tokens: tuple[str, ...]
    task: Task
    groups: Groups | None
    plans: Plans | None
    sha256: str  # of the plans, or of the planner's weights


def run(command: Score) -> int:
    """Exit 1 when tokens failed."""
    job = _job(command)
    configuration = configuration_of(job.tokens, job.task, sha256=job.sha256)
    with LateProgress("score", noun="tokens") as watch:
        found = scored(
            job.tokens,
            job.task,
            command.out,
            groups=job.groups,
            configuration=configuration,
            workers=_workers(command),
            on_start=lambda done: watch.start(len(job.tokens), done),
            on_done=lambda told: watch.advance(len(told.unit.items)),
        )
    about = {} if job.plans is None else job.plans.about
    summary = score_summary(found, plans=command.plans, about=about)
    _write(command.out, found, summary, configuration)
    show(summary)
    say(f"results: {command.out}")
    if command.json:
        give(summary)
    return 1 if summary["counts"]["failed"] else 0


def _job(command: Score) -> _Job:
    """Tokens, plans and protocol.

    Raises:
        BadInput: Options that do not fit each other, or files that are not what they should be.
    """
    stages = 1 if command.stages == "one" else 2
    protocol = protocol_of(
        command.protocol, stages=stages, traffic=command.traffic, human_filter=command.filter, exact=command.exact
    )
    if (stages == 2) != (command.groups is not None):
        found, expected = ("missing", "a JSON file for --stages two") if stages == 2 else ("given", "--stages two")
        raise BadInput("command line", "--groups", found, expected)
    groups = None if command.groups is None else read_groups(command.groups)
    scenes, path = scenes_by_id(command.scenes), Path(command.plans)
    plans = read_plans(path) if path.suffix in (".npz", ".pkl", ".pickle") else None
    _begin(command.out)
    if command.plans in DRIVERS:
        tokens = groups.token if groups else tokens_in(scenes)
        return _with_task(tokens, scenes, protocol, groups, plans=None, path=None, driver=command.plans, sha256="")
    if plans is None:
        return _planned_job(command, scenes, protocol, groups)
    tokens = groups.token if groups else tuple(token for token in plans.token if token not in plans.second)
    _tell_unused(plans, tokens)
    return _with_task(tokens, scenes, protocol, groups, plans=plans, path=path, driver="", sha256=plans.sha256)


def _planned_job(command: Score, scenes: dict[str, Path], protocol: Protocol, groups: Groups | None) -> _Job:
    """As `_job`, for a checkpoint; its plans are kept, so that the same command need not ask it again."""
    weights = checkpoint_path(command.plans)
    tokens = groups.token if groups else tokens_in(scenes)
    path = command.out / PLANS
    told = command.out / f"{PLANS}.json"
    made_from = {"weights": sha256_of(weights), "tokens": list(tokens), "version": __version__}
    if not (path.is_file() and told.is_file() and json.loads(told.read_bytes()) == made_from):
        told.unlink(missing_ok=True)
        with progress("plan", total=len(tokens), noun="tokens") as advance:
            failures = write_planned(str(weights), tokens, scenes, path, on_done=lambda count: advance(count))
        for token, reason in failures[:LISTED]:
            say(f"no plan: {token}: {reason}")
        write_whole(told, json.dumps(made_from).encode())
    plans = read_plans(path)
    return _with_task(tokens, scenes, protocol, groups, plans=plans, path=path, driver="", sha256=plans.sha256)


def _with_task(
    tokens: tuple[str, ...],
    scenes: dict[str, Path],
    protocol: Protocol,
    groups: Groups | None,
    *,
    plans: Plans | None,
    path: Path | None,
    driver: str,
    sha256: str,
) -> _Job:
    if not any(log_of(token) in scenes for token in tokens):
        raise BadInput("command line", "SCENES", f"without a scene of any of {len(tokens)} tokens", "their scenes")
    second = frozenset() if groups is None else groups.second
    task = Task(scenes=scenes, plans=path, driver=driver, protocol=protocol, second=second)
    return _Job(tokens=tokens, task=task, groups=groups, plans=plans, sha256=sha256)


def _tell_unused(plans: Plans, tokens: tuple[str, ...]) -> None:
    unused = len(set(plans.token) - set(tokens))
    if unused:
        say(f"{unused} plans are of tokens that are not asked for")


def _begin(out: Path) -> None:
    """Opens the run's folder; it has no manifest until all is in it.

    Raises:
        BadInput: It holds something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        command = json.loads((out / MANIFEST).read_bytes())["command"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        command = "something else"
    if command != "score":
        raise BadInput(out / MANIFEST, "content", f"of {command}", "one of score, or no file")
    (out / MANIFEST).unlink()


def _workers(command: Score) -> int:
    workers = len(os.sched_getaffinity(0)) if command.workers is None else command.workers
    if workers < 1:
        raise BadInput("command line", "--workers", workers, "1 or more")
    return workers


def _write(out: Path, found: ScoreRun, summary: dict[str, Any], configuration: dict[str, Any]) -> None:
    """The reference's table, the numbers, and last the manifest."""
    write_whole(out / TABLE, table_csv(found.table).encode())
    write_whole(out / SUMMARY, json.dumps(summary, indent=1).encode() + b"\n")
    files = {name: sha256_of(out / name) for name in (TABLE, SUMMARY)}
    content = {"command": "score", "name": summary["protocol"], "configuration": configuration, "files": files}
    write_whole(out / MANIFEST, json.dumps(content, indent=1).encode() + b"\n")


def show(summary: dict[str, Any]) -> None:
    """The table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    console = console if console.is_terminal else Console(stderr=True, width=PLAIN_WIDTH)
    title = f"{Path(summary['plans']).name}   {summary['protocol']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = list(next(iter(summary["sub_scores"].values())))
    for number, head in enumerate(("", *(SHORT[name] for name in names), "95 %")):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for part, means in summary["sub_scores"].items():
        low, high = summary["intervals"][part]
        interval = "-" if low is None else f"{_percent(low)}..{_percent(high)}"
        table.add_row(part.replace("_", " "), *(_percent(means[name]) for name in names), interval)
    console.print(table)
    counts = summary["counts"]
    say(
        f"score {_percent(summary['score'])}, coverage {summary['coverage']:.1%} of {counts['tokens']} tokens "
        f"in {counts['logs']} logs"
    )
    for failure in summary["failures"][:LISTED]:
        say(f"failed: {failure['token']}: {failure['error']}")
    if counts["failed"] > LISTED:
        say(f"and {counts['failed'] - LISTED} more")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
