"""Traffic lights that see the traffic: one approach at a time has green, as long as somebody uses it.

Green goes on while cars keep coming and nobody else waits, up to a maximum; yellow lasts 3 s, and on until those who
entered legally have left; then all is red for a second. So no car is ever inside a crossing whose light for it is red.
"""

import numpy as np
from jaxtyping import Bool, Int

from simscale.scene import LightState
from simscale.town.layout import Layout

Array = np.ndarray

LEAST_GREEN, MOST_GREEN = 5.0, 14.0
YELLOW = 3.0
"""At least; longer only while a car that could not stop is still inside (ours)."""
ALL_RED = 1.0
GREEN, AMBER, RED = int(LightState.GREEN), int(LightState.YELLOW), int(LightState.RED)


class Signals:
    """The lights of all crossings as they go through time.

    Approaches are numbered `4 * crossing + arm`; those without a light are always green.
    """

    def __init__(self, layout: Layout, rng: np.random.Generator, *, dt: float):
        self.dt = dt
        self.crossings = np.flatnonzero(layout.lights)
        self.arms = [np.flatnonzero(layout.arm_street[crossing] >= 0) for crossing in self.crossings]
        self.turn = [int(rng.integers(len(arms))) for arms in self.arms]
        self.phase = [GREEN] * len(self.crossings)
        self.since = list(rng.uniform(0.0, LEAST_GREEN, len(self.crossings)))
        self.state = np.full(4 * len(layout.xy), GREEN)
        self._show()

    def step(
        self, waiting: Bool[Array, " p"], coming: Bool[Array, " p"], inside: Bool[Array, " p"]
    ) -> Int[Array, " p"]:
        """Moves on by one instant.

        Args:
            waiting: Approaches on which a car wants to enter.
            coming: Approaches on which a car is about to reach its stop line.
            inside: Approaches with a car that has been let in and has not left.

        Returns:
            LightState of every approach.
        """
        for number in range(len(self.crossings)):
            self.since[number] += self.dt
            self._advance(number, waiting, coming, inside)
        self._show()
        return self.state.copy()

    def _advance(self, number: int, waiting: Array, coming: Array, inside: Array) -> None:
        arms, since = self.arms[number], self.since[number]
        approaches = 4 * self.crossings[number] + arms
        turn, phase = self.turn[number], self.phase[number]
        if phase == GREEN:
            others_wait = bool(np.delete(waiting[approaches], turn).any())
            used = bool(coming[approaches[turn]])
            if others_wait and since >= LEAST_GREEN and (not used or since >= MOST_GREEN):
                self._enter(number, AMBER)
        elif phase == AMBER:
            if since >= YELLOW and not inside[approaches[turn]]:
                self._enter(number, RED)
        elif since >= ALL_RED:
            order = [(turn + k) % len(arms) for k in range(1, len(arms) + 1)]
            self.turn[number] = next((k for k in order if waiting[approaches[k]]), order[0])
            self._enter(number, GREEN)

    def _enter(self, number: int, phase: int) -> None:
        self.phase[number], self.since[number] = phase, 0.0

    def _show(self) -> None:
        for crossing, arms, turn, phase in zip(self.crossings, self.arms, self.turn, self.phase, strict=True):
            self.state[4 * crossing + arms] = RED
            self.state[4 * crossing + arms[turn]] = phase
