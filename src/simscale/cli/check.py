"""`simscale check`: whether this installation computes what the official code does, on golden numbers."""

from typing import Any

from simscale.cli.commands import Check
from simscale.cli.speech import give
from simscale.engine.progress import progress
from simscale.evaluate.comparison import Agreement
from simscale.evaluate.golden_check import Checked, Verdict, checked, golden_files, verdict_of
from simscale.scene import BadInput

SHOWN_FAULTS = 20
"""Sentences about what differs; there may be thousands."""


def run(command: Check) -> int:
    """Exit 1 where something differs beyond its tolerance."""
    if command.action == "planners":
        from simscale.cli.check_planners import run as run_planners  # who only scores does not wait for torch

        return run_planners(command)
    verdict = _verdict(command)
    if verdict.total.compared == 0:
        raise BadInput(command.folder, "results", "none", "numbers of the official code beside raw content")
    lines = lines_of(verdict)
    if command.json:
        give(numbers_of(verdict))
    else:
        print("\n".join(lines))
    return 1 if verdict.faults else 0


def _verdict(command: Check) -> Verdict:
    files = golden_files(command.folder)
    parts: list[Checked] = []
    with progress("check", total=len(files), noun="files") as advance:
        for path in files:
            parts.append(checked(command.folder, path, exact=command.exact))
            advance(1, parts[-1].name)
    return verdict_of(parts)


def lines_of(verdict: Verdict) -> list[str]:
    """A line a quantity, then the ties and what differs, then the totals."""
    wide = max(len(name) for name in verdict.agreements)
    lines = [f"{name:{wide}}  {_words(one)}" for name, one in verdict.agreements.items()]
    lines += [f"tie, right with --exact: {tie}" for tie in verdict.ties]
    lines += [f"differs: {fault}" for fault in verdict.faults[:SHOWN_FAULTS]]
    if len(verdict.faults) > SHOWN_FAULTS:
        lines.append(f"and {len(verdict.faults) - SHOWN_FAULTS} more")
    return [*lines, f"{'total':{wide}}  {_words(verdict.total)}"]


def numbers_of(verdict: Verdict) -> dict[str, Any]:
    """The same for programs; a worst difference that is no number is null."""
    quantities = {**verdict.agreements, "total": verdict.total}
    numbers: dict[str, Any] = {
        name: {"compared": one.compared, "equal": one.equal, "worst": one.worst if one.worst < float("inf") else None}
        for name, one in quantities.items()
    }
    return numbers | {"ties": list(verdict.ties), "faults": list(verdict.faults)}


def _words(one: Agreement) -> str:
    return f"{one.compared:9d} compared  {one.equal:9d} equal  worst difference {one.worst:.3g}"
