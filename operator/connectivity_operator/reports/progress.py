"""How far each ladder has been climbed while it is: for the live display, and for what an interrupted check tells."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectivity_operator.diagnosis.ladder import Climb, RungOutcome, join
from connectivity_operator.reasons import Result, Rung, Service

_GOOD = (Result.PASSED, Result.WARNED)


@dataclass(frozen=True, slots=True)
class Row:
    """One service at one moment."""

    service: Service
    marks: tuple[tuple[Rung, Result | None], ...]
    """Each rung of the ladder; None: under way or still to come."""
    current: Rung | None
    """What is being climbed; None when the ladder is done, or not begun."""
    seconds: float
    climb: Climb | None
    """The result, when the ladder is done."""


class Progress:
    """A `diagnosis.listening.Listener`. ``plan`` has the rungs of each selected service."""

    def __init__(self, plan: Mapping[Service, Sequence[Rung]], clock: Callable[[], float] = time.monotonic) -> None:
        self._plan, self._clock, self._began = plan, clock, clock()
        self._under_way: Counter[tuple[Service, Rung]] = Counter()
        self._ended: dict[Service, list[RungOutcome]] = {service: [] for service in plan}
        self._done: dict[Service, tuple[Climb, float]] = {}

    def begun(self, service: Service, rung: Rung) -> None:
        self._under_way[service, rung] += 1

    def ended(self, service: Service, outcome: RungOutcome) -> None:
        self._under_way[service, outcome.rung] -= 1
        if service in self._ended:  # not of the shared identity's own climb: each ladder has a rung for it
            self._ended[service].append(outcome)

    def done(self, climb: Climb) -> None:
        """That ladder is climbed."""
        self._done[climb.service] = (climb, self._clock() - self._began)

    @property
    def unfinished(self) -> tuple[Service, ...]:
        return tuple(service for service in self._plan if service not in self._done)

    def climbs(self) -> list[Climb]:
        """What there is of every ladder by now."""
        return [self._done[s][0] if s in self._done else self._so_far(s) for s in self._plan]

    def rows(self) -> list[Row]:
        return [self._row(service) for service in self._plan]

    def _so_far(self, service: Service) -> Climb:
        """The rungs that have certainly passed, the others skipped.

        A failure counts only when its ladder has come to its end: one broker of many may fail.
        """
        good: list[RungOutcome] = []
        for rung in self._plan[service]:
            of_rung = [o for o in self._ended[service] if o.rung is rung]
            if not of_rung or self._under_way[service, rung] or any(o.result not in _GOOD for o in of_rung):
                break
            good += of_rung
        evidence = {key: value for outcome in good for key, value in outcome.evidence.items()}
        climbed = join([Climb(service, tuple(good), evidence=evidence)])
        rest = self._plan[service][len(climbed.outcomes) :]
        skipped = tuple(RungOutcome(rung, Result.SKIPPED) for rung in rest)
        return Climb(service, climbed.outcomes + skipped, evidence=evidence)

    def _row(self, service: Service) -> Row:
        climb, seconds = self._done.get(service, (None, self._clock() - self._began))
        results = {o.rung: o.result for o in (climb or self._so_far(service)).outcomes}
        if climb is None:
            results = {rung: result for rung, result in results.items() if result in _GOOD}
        under_way = [rung for rung in self._plan[service] if self._under_way[service, rung] > 0]
        return Row(
            service,
            tuple((rung, results.get(rung)) for rung in self._plan[service]),
            under_way[0] if under_way and climb is None else None,
            seconds,
            climb,
        )
