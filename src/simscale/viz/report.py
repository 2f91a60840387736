"""One HTML file that says what a generation came to: it holds its pictures and opens without a network."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from simscale.generate.counts import Counts, ExpertCounts


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


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of the report."""

    title: str
    caption: str
    png: bytes


def report_html(facts: Facts, pictures: Sequence[Picture]) -> str:
    """The whole file."""
    body = [
        "<h1>SimScale: what was generated</h1>",
        _lead(facts),
        _cards(facts.counts),
        _failures(facts),
        *(_picture(picture) for picture in pictures[:1]),
        "<h2>By log</h2>",
        _log_table(facts),
        "<h2>By reason</h2>",
        _reason_table(facts.counts),
        *(_picture(picture) for picture in pictures[1:]),
        "<h2>Settings</h2>",
        f"<pre>{escape(json.dumps(facts.configuration, indent=1, sort_keys=True, default=str))}</pre>",
    ]
    return f"<!doctype html>\n<html lang=en>\n<head>{_HEAD}</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"


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


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return (
        f"<h2>{escape(picture.title)}</h2><p>{escape(picture.caption)}</p>"
        f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{data}">'
    )


def _log_table(facts: Facts) -> str:
    experts = list(facts.counts.experts)
    head = ["log", "attempted", "first draw", "passed", *(f"{name} accepted" for name in experts), "main reason"]
    rows = [_log_row(log, counts, experts) for log, counts in facts.by_log.items()]
    rows.append(_log_row("all logs", facts.counts, experts))
    rows.append(_log_row("all logs, moving tokens", facts.moving, experts))
    rows += [[log, why, *[""] * (len(head) - 2)] for log, why in facts.unused.items()]
    return _table(head, rows)


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
    return _table(["what", "stage", "first reason", "count", "share"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


_HEAD = """<meta charset=utf-8><meta name=viewport content="width=device-width"><title>SimScale report</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #2b2b2b; max-width: 1400px; margin: 2em auto; padding: 0 1.5em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
img { max-width: 100%; border: 1px solid #e3e0d8 }
code, pre { font: 12px/1.4 ui-monospace, monospace; background: #f7f5f0; padding: .1em .3em; overflow-x: auto }
pre { padding: 1em }
table { border-collapse: collapse; font-size: 13px }
td, th { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #e3e0d8 }
td:nth-child(n+2) { font-variant-numeric: tabular-nums }
.cards { display: flex; flex-wrap: wrap; gap: 1em }
.card { background: #f7f5f0; padding: .8em 1.2em; min-width: 9em }
.card b { display: block; font-size: 1.7em } .card span { display: block } .card small { color: #8a8a85 }
</style>"""
