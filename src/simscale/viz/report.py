"""One HTML file that says what a generation came to: it holds its pictures and opens without a network."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from simscale.generate.counts import Counts, ExpertCounts
from simscale.viz.page import Picture, page_of, picture_html, table_html


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is told."""

    counts: Counts
    moving: Counts  # of tokens whose human moves
    by_log: dict[str, Counts]
    unused: dict[str, str]  # logs without a decision point -> why
    tokens: int
    digest: str
    seed: int
    version: str
    configuration: dict[str, Any]
    failures: Sequence[str]  # a sentence each


def report_html(facts: Facts, pictures: Sequence[Picture]) -> str:
    """The whole file."""
    body = [
        "<h1>SimScale: what was generated</h1>",
        _lead(facts),
        _cards(facts.counts),
        _failures(facts),
        *(picture_html(picture) for picture in pictures[:1]),
        "<h2>By log</h2>",
        _log_table(facts),
        "<h2>By reason</h2>",
        _reason_table(facts.counts),
        *(picture_html(picture) for picture in pictures[1:]),
        "<h2>Settings</h2>",
        f"<pre>{escape(json.dumps(facts.configuration, indent=1, sort_keys=True, default=str))}</pre>",
    ]
    return page_of("SimScale report", body)


def _lead(facts: Facts) -> str:
    unused = f", {len(facts.unused)} more without one" if facts.unused else ""
    where = f"{facts.tokens} decision points in {len(facts.by_log)} logs{unused}."
    made = f"Seed {facts.seed}, version {facts.version}."
    return f"<p>{escape(where)} {escape(made)}<br>Dataset digest <code>{escape(facts.digest)}</code></p>"


def _cards(counts: Counts) -> str:
    cards = [
        ("attempted pairs of token and round", str(counts.rounds), f"{counts.no_cell_left} more had no cell left"),
        (
            "first draw passed the check",
            _percent(counts.first_draw_passed, counts.rounds),
            f"{counts.tries} draws in all",
        ),
        ("found a perturbed state", _percent(counts.passed, counts.rounds), f"{counts.passed} of {counts.rounds}"),
        *(
            (
                f"{name} accepted",
                _percent(expert.accepted, expert.attempted),
                f"{expert.accepted} of {expert.attempted}",
            )
            for name, expert in counts.experts.items()
        ),
    ]
    return (
        "<div class=cards>"
        + "".join(
            f"<div class=card><b>{escape(number)}</b><span>{escape(word)}</span><small>{escape(note)}</small></div>"
            for word, number, note in cards
        )
        + "</div>"
    )


def _failures(facts: Facts) -> str:
    if not facts.failures:
        return ""
    return "<h2>Set aside</h2><ul>" + "".join(f"<li>{escape(failure)}</li>" for failure in facts.failures) + "</ul>"


def _log_table(facts: Facts) -> str:
    experts = list(facts.counts.experts)
    head = ["log", "attempted", "first draw", "passed", *(f"{name} accepted" for name in experts), "main reason"]
    rows = [_log_row(log, counts, experts) for log, counts in facts.by_log.items()]
    rows.append(_log_row("all logs", facts.counts, experts))
    rows.append(_log_row("all logs, moving tokens", facts.moving, experts))
    rows += [[log, why, *[""] * (len(head) - 2)] for log, why in facts.unused.items()]
    return table_html(head, rows)


def _log_row(log: str, counts: Counts, experts: Sequence[str]) -> list[str]:
    reasons = [f"{reason} ({number})" for reason, number in counts.rejected.items()]
    return [
        log,
        str(counts.rounds),
        _percent(counts.first_draw_passed, counts.rounds),
        _percent(counts.passed, counts.rounds),
        *(_yield(counts.experts.get(name, ExpertCounts())) for name in experts),
        reasons[0] if reasons else "",
    ]


def _yield(expert: ExpertCounts) -> str:
    return f"{expert.accepted} ({_percent(expert.accepted, expert.attempted)})"


def _reason_table(counts: Counts) -> str:
    rows = [["draw", "perturb", reason, str(n), _percent(n, counts.tries)] for reason, n in counts.rejected.items()]
    for name, expert in counts.experts.items():
        for stage, table in expert.rejected.items():
            rows += [[name, stage, reason, str(n), _percent(n, expert.attempted)] for reason, n in table.items()]
    return table_html(["what", "stage", "first reason", "count", "share"], rows)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
