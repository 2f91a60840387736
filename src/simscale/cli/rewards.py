"""`simscale rewards`: what planners that choose from a vocabulary learn; scored, or read from or written to pickles."""

import os
from collections.abc import Iterator

import numpy as np

from simscale.cli.commands import Rewards
from simscale.cli.rewarding import RewardsReport, pickled_rewards, scored_rewards, sources_of
from simscale.cli.speech import give, say
from simscale.dataset.files import write_whole
from simscale.dataset.rewards import RewardStore, open_rewards
from simscale.dataset.rewards_pickle import TOKEN_FILE, pickled_run, pickled_token
from simscale.engine.progress import Advance, LateProgress, progress
from simscale.scene import BadInput
from simscale.scoring.vocabulary import COLUMNS, ProgressMode

Array = np.ndarray

TRAINING: ProgressMode = "gen_gt"
"""How the published rewards measure progress."""
SHOWN = ("at-fault", "road", "direction", "lights", "progress", "ttc", "lane", "comfort", "total")
"""Heads of `COLUMNS` in the table."""
TOKENS_AT_ONCE = 16
"""Read together on their way to a pickle."""


def run(command: Rewards) -> int:
    """Exit 1 when units were set aside."""
    if not command.src:
        raise BadInput("command line", "SRC", "empty", "folders of scenes, datasets, pickles, or a store of rewards")
    if command.from_pickles and command.to_pickles:
        raise BadInput("command line", "--to-pickles", "beside --from-pickles", "one of the two")
    return _write(command) if command.to_pickles else _make(command)


def _make(command: Rewards) -> int:
    workers = len(os.sched_getaffinity(0)) if command.workers is None else command.workers
    if workers < 1:
        raise BadInput("command line", "--workers", workers, "1 or more")
    measure, bare = command.progress or TRAINING, ()
    with LateProgress("rewards", noun="files" if command.from_pickles else "tokens") as watch:
        shared = {"vocabulary": command.vocabulary, "progress": measure, "workers": workers}
        if command.from_pickles:
            report = pickled_rewards(command.src, command.out, **shared, on_start=watch.start, on_done=watch.advance)
        else:
            sources, bare = sources_of(command.src, command.scenes)
            report = scored_rewards(sources, command.out, **shared, on_start=watch.start, on_done=watch.advance)
    for line in (*(f"{log}: no map, which scores need" for log in bare), *_lines(report)):
        say(line)
    if command.json:
        give({**report.as_json(), "without_map": list(bare)})
    return 1 if report.failures else 0


def _lines(report: RewardsReport) -> Iterator[str]:
    for failure in report.failures:
        yield f"set aside: {failure.item or failure.unit} {failure.step}: {failure.error}"
    yield f"{'future by':>12}{'tokens':>9}{''.join(f'{head:>10}' for head in SHOWN)}{'best':>10}{'forgiven':>10}"
    for who, means in report.by_driver.items():
        row = "".join(f"{means[name]:10.3f}" for name in (*COLUMNS, "best", "forgiven"))
        yield f"{who:>12}{means['tokens']:9.0f}{row}"
    if report.unexplained:
        yield f"{report.unexplained} tokens have a pdm_score that is not that of their columns; it is computed anew"
    each = report.bytes / max(report.tokens, 1) / 1e3
    yield f"{report.tokens} tokens x {report.trajectories} trajectories of {report.vocabulary}, {each:.1f} KB a token"
    yield f"digest: {report.digest}"


def _write(command: Rewards) -> int:
    if len(command.src) != 1:
        raise BadInput("command line", "SRC", f"{len(command.src)} folders", "one store of rewards")
    store = open_rewards(command.src[0])
    with progress("rewards", total=len(store.tokens), noun="tokens") as advance:
        items = _columns(store, command, advance)
        if command.out.suffix == ".pkl":
            write_whole(command.out, pickled_run(items))
        else:
            for token, columns in items:
                (command.out / token).mkdir(parents=True, exist_ok=True)
                write_whole(command.out / token / TOKEN_FILE, pickled_token(columns))
    say(f"{len(store.tokens)} tokens: {command.out}")
    if command.json:
        give({"tokens": len(store.tokens), "progress": command.progress or store.progress, "out": str(command.out)})
    return 0


def _columns(store: RewardStore, command: Rewards, advance: Advance) -> Iterator[tuple[str, dict[str, Array]]]:
    for first in range(0, len(store.tokens), TOKENS_AT_ONCE):
        tokens = store.tokens[first : first + TOKENS_AT_ONCE]
        rewards = store.read(tokens, progress=command.progress, human_filter=command.human_filter)
        for i, token in enumerate(tokens):
            yield token, {name: getattr(rewards, name)[i] for name in COLUMNS}
            advance(1)
