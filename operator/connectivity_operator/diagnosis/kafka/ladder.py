"""Kafka's ladder: the way to the cluster and every broker of it, then each topic and the consumer group.

No verdict comes from a client's start-up: each step asks one broker one question and gets that broker's answer. One
bootstrap server that works is enough, and a broker that does not answer fails only the topics that it leads a
partition of and the groups that it coordinates; for everybody it is a warning.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from connectivity_operator.diagnosis import identity
from connectivity_operator.diagnosis.kafka import msk
from connectivity_operator.diagnosis.kafka.brokers import Brokers, Endpoint, out_of_reach
from connectivity_operator.diagnosis.kafka.listener import Ascent, ListenerCheck
from connectivity_operator.diagnosis.kafka.questions import GroupQuestions, TopicQuestions
from connectivity_operator.diagnosis.ladder import Climb, Failure, Notes, RungOutcome, Step, climb, join
from connectivity_operator.diagnosis.sections import Section, Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import ClusterMetadata, KafkaProber
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.resource import GROUPS
from connectivity_operator.settings import Settings

CONFIGURATION_LIMIT = 1.0
CLIMBERS = 16
"""Brokers that are climbed at the same time."""

QUESTION_RUNGS = (Rung.AUTHORIZATION, Rung.OPERATION)


class KafkaLadder:
    """Implements `sections.ServiceLadder`. ``identity`` gives the shared climb of the caller's identity."""

    service = Service.KAFKA

    def __init__(
        self,
        *,
        settings: Settings,
        prober: KafkaProber,
        identity: Callable[[], Awaitable[Climb]],
        context: ssl.SSLContext,
    ) -> None:
        self._settings, self._identity = settings, identity
        self._logs_in = settings.kafka_security_protocol == "SASL_SSL"
        plain = settings.kafka_security_protocol == "PLAINTEXT"
        self._listeners = ListenerCheck(prober, context=None if plain else context)
        self._bootstrap = tuple(map(Endpoint.parse, settings.kafka_bootstrap_servers))
        self._brokers = Brokers(prober, self._bootstrap)
        self._caller: Mapping[str, str] = {}
        """What the last climb of the connection has learnt of the caller."""

    def stages(self, target: Target) -> Sequence[Sequence[Section]]:
        """The connection; then the topics and the group side by side. Without any of them it ends at the login."""
        before = (Rung.CONFIGURATION, Rung.IDENTITY) if self._logs_in else (Rung.CONFIGURATION,)
        connection = Section(("kafka", "connection"), (*before, *self._listeners.rungs), self._connection)
        asked = [self._topic(topic) for topic in sorted(target.topics)]
        if target.group:
            asked.append(self._group(target.group, join=target.join, topics=target.topics))
        return [[connection], asked] if asked else [[connection]]

    async def close(self) -> None:
        """Close the connections that wait for the next question."""
        await self._brokers.close()

    # ── topics and groups ────────────────────────────────────────────────────────────────────────────
    def _topic(self, topic: str) -> Section:
        async def run() -> Climb:
            known = self._facts(self._caller)
            known |= {"topic": topic, "topic_arn": msk.topic_arn(known["cluster_arn"], topic)}
            return await climb(Service.KAFKA, TopicQuestions(self._brokers, topic).steps(), known=known)

        return Section(("kafka", "topic", topic), QUESTION_RUNGS, run)

    def _group(self, group: str, *, join: bool, topics: frozenset[str]) -> Section:
        async def run() -> Climb:
            known = self._facts(self._caller)
            known |= {"group": group, "group_arn": msk.group_arn(known["cluster_arn"], GROUPS)}
            questions = GroupQuestions(self._brokers, group, join=join, topics=topics)
            return await climb(Service.KAFKA, questions.steps(), known=known)

        return Section(("kafka", "group", group, *(["join"] if join else [])), QUESTION_RUNGS, run)

    # ── the connection ───────────────────────────────────────────────────────────────────────────────
    async def _connection(self) -> Climb:
        steps = [Step(Rung.CONFIGURATION, self._configured, CONFIGURATION_LIMIT)]
        if self._logs_in:
            steps.append(identity.step(self._identity))
        begun = await climb(Service.KAFKA, steps)
        self._caller = begun.evidence
        if not begun.passed:
            skipped = tuple(RungOutcome(rung, Result.SKIPPED) for rung in self._listeners.rungs)
            return join([begun, Climb(Service.KAFKA, skipped)])
        ascents, chosen = await self._ascend(self._facts(begun.evidence))
        await self._brokers.renew(
            {ascent.endpoint: ascent.connection for ascent in ascents if ascent.connection},
            {ascent.endpoint: ascent.climb.failure for ascent in ascents if ascent.climb.failure},
        )
        if not chosen.climb.passed:
            return join([begun, chosen.climb])
        others = [ascent.climb for ascent in ascents if ascent.climb.passed and ascent is not chosen]
        return _warned(join([begun, *others, chosen.climb]), ascents)

    async def _configured(self, notes: Notes) -> None:
        absent = None if self._bootstrap else "KAFKA_BOOTSTRAP_SERVERS"
        if absent is None and self._logs_in and self._settings.aws_region is None:
            absent = "AWS_REGION"
        if absent:
            raise DependencyError(Service.KAFKA, Reason.NOT_CONFIGURED, evidence={"variable": absent})

    async def _ascend(self, known: Mapping[str, str]) -> tuple[list[Ascent], Ascent]:
        """Every bootstrap server and every advertised broker, climbed; and the one that speaks for the cluster."""
        ascents = await self._climb(self._bootstrap, known)
        chosen = max(ascents, key=_height)  # the first of those that got furthest
        if chosen.metadata:
            climbed = {ascent.endpoint for ascent in ascents}
            ascents += await self._climb(_advertised(chosen.metadata) - climbed, known)
        return ascents, chosen

    async def _climb(self, endpoints: Iterable[Endpoint], known: Mapping[str, str]) -> list[Ascent]:
        slots = asyncio.Semaphore(CLIMBERS)

        async def one(endpoint: Endpoint) -> Ascent:
            async with slots:
                return await self._listeners.climb(endpoint, known)

        return list(await asyncio.gather(*map(one, endpoints)))

    # ── what is known beforehand ─────────────────────────────────────────────────────────────────────
    def _facts(self, caller: Mapping[str, str]) -> dict[str, str]:
        """Evidence for the texts of every rung: the caller, the region we sign for, the cluster."""
        settings = self._settings
        host = self._bootstrap[0].host if self._bootstrap else ""
        facts = {
            **caller,
            "region": settings.aws_region or "",
            "endpoint_region": msk.region_of(host) or "",
            "protocol": settings.kafka_security_protocol,
        }
        derived = msk.cluster_arn(host, facts)
        return {**facts, "cluster_arn": settings.kafka_cluster_arn or derived}


def _height(ascent: Ascent) -> int:
    """How many rungs of it passed."""
    return sum(outcome.result in (Result.PASSED, Result.WARNED) for outcome in ascent.climb.outcomes)


def _advertised(metadata: ClusterMetadata) -> set[Endpoint]:
    return {Endpoint(broker.host, broker.port) for broker in metadata.brokers.values()}


def _warned(whole: Climb, ascents: Iterable[Ascent]) -> Climb:
    """``whole`` with a warning for each broker that did not let us in, at the rung where it failed."""
    warnings = list(whole.warnings)
    rungs = set()
    for ascent in ascents:
        if failure := ascent.climb.failure:
            told = out_of_reach(ascent.endpoint, failure.reason, failure.evidence)
            warnings.append(Failure(told.reason, failure.rung, told.evidence))
            rungs.add(failure.rung)
    outcomes = (replace(o, result=Result.WARNED) if o.rung in rungs else o for o in whole.outcomes)
    return replace(whole, outcomes=tuple(outcomes), warnings=tuple(warnings))
