"""Traffic lights that see the traffic: one approach at a time has green, as long as somebody uses it.

Green goes on while cars keep coming and nobody else waits, up to a maximum; yellow lasts 3 s, and on until those who
entered legally have left; then all is red for a second. So no car is ever inside a crossing whose light for it is red.
People who wait get a phase of their own, in which all cars have red until the last of them is across.
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
WALK = 4.0
"""People may start to cross for so long, s."""
GREEN, AMBER, RED = int(LightState.GREEN), int(LightState.YELLOW), int(LightState.RED)
ON_FOOT = 4
"""Phase in which people cross; cars see red."""


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
        self.walk = np.zeros(len(layout.xy), dtype=bool)  # crossings where people may start to cross
        self.greens = [len(arms) for arms in self.arms]  # green phases since people had theirs
        self._show()

    def step(
        self,
        waiting: Bool[Array, " p"],
        coming: Bool[Array, " p"],
        inside: Bool[Array, " p"],
        *,
        on_foot: Bool[Array, " j"] | None = None,
        across: Bool[Array, " j"] | None = None,
    ) -> Int[Array, " p"]:
        """Moves on by one instant.

        Args:
            waiting: Approaches on which a car wants to enter.
            coming: Approaches on which a car is about to reach its stop line.
            inside: Approaches with a car that has been let in and has not left.
            on_foot: Crossings where people wait to cross a street; nobody where not said.
            across: Crossings where people are on the road.

        Returns:
            LightState of every approach.
        """
        nobody = np.zeros(len(self.walk), dtype=bool)
        on_foot, across = nobody if on_foot is None else on_foot, nobody if across is None else across
        for number, crossing in enumerate(self.crossings):
            self.since[number] += self.dt
            if self.phase[number] == ON_FOOT:
                if self.since[number] >= WALK and not across[crossing]:
                    self._enter(number, RED)
            elif self.phase[number] == RED and self._people_go(number, waiting, bool(on_foot[crossing])):
                self._enter(number, ON_FOOT)
                self.greens[number] = 0
            else:
                self._advance(number, waiting, coming, inside, people=bool(on_foot[crossing]))
            self.walk[crossing] = self.phase[number] == ON_FOOT and self.since[number] < WALK
        self._show()
        return self.state.copy()

    def _people_go(self, number: int, waiting: Array, wait: bool) -> bool:
        """After every approach had its turn, or where no car waits, people have theirs."""
        arms = self.arms[number]
        cars_wait = bool(waiting[4 * self.crossings[number] + arms].any())
        turn = self.greens[number] >= (len(arms) if cars_wait else 1)
        return wait and turn and self.since[number] >= ALL_RED

    def _advance(self, number: int, waiting: Array, coming: Array, inside: Array, *, people: bool) -> None:
        arms, since = self.arms[number], self.since[number]
        approaches = 4 * self.crossings[number] + arms
        turn, phase = self.turn[number], self.phase[number]
        if phase == GREEN:
            others_wait = people or bool(np.delete(waiting[approaches], turn).any())
            used = bool(coming[approaches[turn]])
            if others_wait and since >= LEAST_GREEN and (not used or since >= MOST_GREEN):
                self._enter(number, AMBER)
        elif phase == AMBER:
            if since >= YELLOW and not inside[approaches[turn]]:
                self._enter(number, RED)
        elif since >= ALL_RED:
            order = [(turn + k) % len(arms) for k in range(1, len(arms) + 1)]
            self.turn[number] = next((k for k in order if waiting[approaches[k]]), order[0])
            self.greens[number] += 1
            self._enter(number, GREEN)

    def _enter(self, number: int, phase: int) -> None:
        self.phase[number], self.since[number] = phase, 0.0

    def _show(self) -> None:
        for crossing, arms, turn, phase in zip(self.crossings, self.arms, self.turn, self.phase, strict=True):
            self.state[4 * crossing + arms] = RED
            self.state[4 * crossing + arms[turn]] = RED if phase == ON_FOOT else phase
