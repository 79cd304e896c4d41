"""The diagnosis as a whole: what one asker sees of one service, from shared sections.

The daemon of a resource, the climb at start-up and ``connectivity-operator check`` all ask here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from connectivity_operator.diagnosis.ladder import Climb, RungOutcome, join
from connectivity_operator.diagnosis.probes import Probes
from connectivity_operator.diagnosis.sections import Section, ServiceLadder, Target
from connectivity_operator.reasons import Result, Rung, Service


class Diagnosis:
    """Examines services for targets; everything that can be shared is shared through ``probes``."""

    def __init__(self, ladders: Sequence[ServiceLadder], probes: Probes) -> None:
        self._ladders: Mapping[Service, ServiceLadder] = {ladder.service: ladder for ladder in ladders}
        self._probes = probes

    async def examine(self, service: Service, target: Target, *, max_age: float, not_before: float = 0.0) -> Climb:
        """Climb one service for one target.

        ``max_age``: seconds for which an earlier success is good enough. ``not_before``: monotonic time before
        which no result counts (a new generation, a requested check, a confirming try).
        Never raises but on cancellation.
        """
        climbs: list[Climb] = []
        failed = False
        for stage in self._ladders[service].stages(target):
            if failed:
                climbs += [_skipped(service, section) for section in stage]
                continue
            made = await asyncio.gather(*(self._get(section, max_age, not_before) for section in stage))
            climbs += made
            failed = any(not climb.passed for climb in made)
        return join(climbs)

    def rungs(self, service: Service, target: Target) -> tuple[Rung, ...]:
        """The rungs that a ladder has for this target, in climbing order."""
        stages = self._ladders[service].stages(target)
        planned = {rung for stage in stages for section in stage for rung in section.rungs}
        return tuple(rung for rung in Rung if rung in planned)

    def witness(self, key: tuple[str, ...]) -> None:
        """Traffic has proven the section of that key; saves the (paid) probe."""
        self._probes.witness(key)

    async def _get(self, section: Section, max_age: float, not_before: float) -> Climb:
        return await self._probes.get(section.key, section.climb, max_age=max_age, not_before=not_before)


def _skipped(service: Service, section: Section) -> Climb:
    return Climb(service, tuple(RungOutcome(rung, Result.SKIPPED) for rung in section.rungs))
