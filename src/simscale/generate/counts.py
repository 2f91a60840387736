"""Counts of a generation: what was tried, what passed, and why the rest did not.

Counts are added up: of tokens to a unit, of units to a log, of logs to a dataset.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ExpertCounts:
    """One expert's answers. An attempted pair whose perturbation failed is rejected at the stage `perturb`."""

    attempted: int = 0
    accepted: int = 0
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)  # stage -> reason -> count


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Pairs of token and round (pipeline.md 0)."""

    rounds: int = 0  # pairs that drew at least one cell: the attempted ones
    first_draw_passed: int = 0  # pairs whose first draw passed the check
    tries: int = 0  # cells drawn
    passed: int = 0  # pairs with a perturbed state
    no_cell_left: int = 0  # pairs that had no cell to draw from
    rejected: dict[str, int] = field(default_factory=dict)  # reason -> tries
    experts: dict[str, ExpertCounts] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The tables that `generate --json` prints."""
        perturb = {
            name: getattr(self, name) for name in ("rounds", "first_draw_passed", "tries", "passed", "no_cell_left")
        }
        return {
            "perturb": perturb | {"rejected": _sorted(self.rejected)},
            "experts": {
                name: {
                    "attempted": expert.attempted,
                    "accepted": expert.accepted,
                    "rejected": {stage: _sorted(reasons) for stage, reasons in sorted(expert.rejected.items())},
                }
                for name, expert in self.experts.items()
            },
        }

    @staticmethod
    def from_json(tables: dict[str, Any]) -> "Counts":
        """Undoes `as_json`."""
        return Counts(
            **tables["perturb"], experts={name: ExpertCounts(**table) for name, table in tables["experts"].items()}
        )


def total(parts: Iterable[Counts]) -> Counts:
    """Counts added up."""
    parts = list(parts)
    names = dict.fromkeys(name for part in parts for name in part.experts)
    return Counts(
        rounds=sum(part.rounds for part in parts),
        first_draw_passed=sum(part.first_draw_passed for part in parts),
        tries=sum(part.tries for part in parts),
        passed=sum(part.passed for part in parts),
        no_cell_left=sum(part.no_cell_left for part in parts),
        rejected=_added(part.rejected for part in parts),
        experts={
            name: _total_of_expert([part.experts[name] for part in parts if name in part.experts]) for name in names
        },
    )


def _total_of_expert(parts: list[ExpertCounts]) -> ExpertCounts:
    stages = sorted({stage for part in parts for stage in part.rejected})
    return ExpertCounts(
        attempted=sum(part.attempted for part in parts),
        accepted=sum(part.accepted for part in parts),
        rejected={stage: _added(part.rejected.get(stage, {}) for part in parts) for stage in stages},
    )


def _added(tables: Iterable[dict[str, int]]) -> dict[str, int]:
    added: Counter[str] = Counter()
    for table in tables:
        added.update(table)
    return _sorted(dict(added))


def _sorted(table: dict[str, int]) -> dict[str, int]:
    return dict(sorted(table.items(), key=lambda row: (-row[1], row[0])))
