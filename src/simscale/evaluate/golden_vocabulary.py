"""Vocabulary scores of SimScale's fork against the golden numbers, in both measures of progress and its own filter."""

from collections.abc import Iterator

import numpy as np

from simscale.evaluate.comparison import EXACT, Comparison, of_states
from simscale.evaluate.golden_inputs import METRES
from simscale.evaluate.golden_scores import MULTIPLIED, WEIGHTED, columns_of, judged, with_progress
from simscale.evaluate.navsim_start import NavsimStart, driven, replayed
from simscale.ingest.golden import GoldenScene, plans_of
from simscale.ingest.golden_forms import SUB_SCORES as REFERENCE_NAMES
from simscale.scene import CarState
from simscale.scoring import Scores
from simscale.scoring.human_filter import SUB_SCORES, human_filtered_legacy
from simscale.scoring.vocabulary import VocabularyScores, filtered_columns, score_vocabulary

Array = np.ndarray

STEP16 = 2.0**-11
"""A step of float16 below 1: the fork keeps its columns so, and a share may be rounded up or down."""


def vocabulary_comparisons(
    z: dict[str, Array], golden: GoldenScene, start: NavsimStart, expert: CarState
) -> Iterator[Comparison]:
    """Everything in a vocabulary file.

    Args:
        z: The file's arrays.
        golden: Its scene.
        start: The same.
        expert: PDM-Closed's drive [41].
    """
    plans = plans_of(z["vocab_poses"], 0.1)
    log = replayed(start)
    found = score_vocabulary(
        plans,
        start.ego,
        log,
        start.around,
        expert=expert,
        vehicle=start.vehicle,
        history=start.history,
        start_time_us=start.time_us,
    )
    if "sim_head" in z:
        head = driven(start, plans_of(z["vocab_poses"][: len(z["sim_head"])], 0.1))
        yield of_states("vocab_sim", head.packed(), golden.local(z["sim_head"]), tolerance=METRES)
    if "progress_raw" in z:
        yield Comparison(
            quantity="vocab_progress_raw", found=found.progress_m, expected=z["progress_raw"], tolerance=METRES
        )
    single = judged(start, driven(start, golden.plans()), expert, lambda _: log)
    for mode in ("eval", "gen_gt"):
        measured = found.measured(mode)
        yield from _raw(z, mode, measured)
        table = filtered_columns(measured.plans, single.human, human_filter="legacy")
        for name, column in zip((*REFERENCE_NAMES, "pdm_score"), table.T, strict=True):
            if f"{mode}_{name}" in z:
                shares = name in ("ego_progress", "pdm_score")
                rounded, expected = column.astype(np.float16), z[f"{mode}_{name}"]
                tolerance = STEP16 if shares else EXACT
                quantity = f"vocab_{mode}_{name}"
                yield Comparison(quantity=quantity, found=rounded, expected=expected, tolerance=tolerance)
    yield from _legacy(z, human_filtered_legacy(single.scores, single.human), single.scores)


def _raw(z: dict[str, Array], mode: str, found: VocabularyScores) -> Iterator[Comparison]:
    """Before the filter; PDM-Closed stands in the first row."""
    parts = (found.expert, found.plans)
    multiplied, weighted, total = (
        np.concatenate([columns_of(part, names) for part in parts]) for names in (MULTIPLIED, WEIGHTED, ("total",))
    )
    if f"{mode}_raw_multi" in z:
        expected = z[f"{mode}_raw_multi"]
        yield Comparison(quantity=f"vocab_{mode}_raw_multi", found=multiplied, expected=expected, tolerance=EXACT)
    if f"{mode}_raw_weighted" in z:
        expected = z[f"{mode}_raw_weighted"][:, : len(WEIGHTED)]
        yield from with_progress(f"vocab_{mode}_raw_weighted", weighted, expected, WEIGHTED.index("progress"))
    if f"{mode}_raw_pdm" in z:
        expected = z[f"{mode}_raw_pdm"]
        yield Comparison(quantity=f"vocab_{mode}_raw_pdm", found=total[:, 0], expected=expected, tolerance=METRES)


def _legacy(z: dict[str, Array], shown: Scores, counted: Scores) -> Iterator[Comparison]:
    """The fork's filter on the scene's own trajectories: what it shows, and what counts."""
    ours = {
        "legacy_filter_mult": (counted.multiplier, EXACT),
        "legacy_filter_pdm_score": (shown.total, METRES),
    }
    for name, (found, tolerance) in ours.items():
        if name in z:
            yield Comparison(quantity=name, found=found, expected=z[name], tolerance=tolerance)
    if "legacy_filter_final" in z:
        final = columns_of(shown, SUB_SCORES)
        yield from with_progress("legacy_filter_final", final, z["legacy_filter_final"], SUB_SCORES.index("progress"))
    if "legacy_filter_weighted" in z:
        expected = z["legacy_filter_weighted"][:, : len(WEIGHTED)]
        weighted = columns_of(counted, WEIGHTED)
        yield from with_progress("legacy_filter_weighted", weighted, expected, WEIGHTED.index("progress"))
