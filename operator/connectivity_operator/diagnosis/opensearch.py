"""The ladder of OpenSearch Serverless (or a domain): identity, network, the first lock, and one index after another."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit

from connectivity_operator import models, opensearch_endpoint
from connectivity_operator.diagnosis import identity as identity_rung
from connectivity_operator.diagnosis import network
from connectivity_operator.diagnosis.ladder import Climb, Notes, Step, climb
from connectivity_operator.diagnosis.proxy import proxy_for
from connectivity_operator.diagnosis.sections import Section, Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import IndexState, VectorIndex
from connectivity_operator.reasons import Reason, Rung, Service
from connectivity_operator.settings import Settings

LIMIT = 10.0
CREATE_LIMIT = 30.0
"""Seconds; Serverless takes its time to make an index."""


class OpenSearchLadder:
    """Implements `sections.ServiceLadder`.

    ``index`` is None when OpenSearch is not configured. ``identity`` gives the shared climb of the identity rung.
    """

    service = Service.OPENSEARCH

    def __init__(
        self,
        *,
        settings: Settings,
        index: VectorIndex | None,
        identity: Callable[[], Awaitable[Climb]],
        context: ssl.SSLContext,
    ) -> None:
        url = urlsplit(settings.opensearch_endpoint or "")
        host, port = url.hostname or "", url.port or 443
        proxy = proxy_for(host, port, https_proxy=settings.https_proxy, no_proxy=settings.no_proxy, context=context)
        self._route = network.Route(Service.OPENSEARCH, host, port, proxy)
        self._name = opensearch_endpoint.parse(host)
        self._settings = settings
        self._index = index
        self._identity = identity
        self._caller: Mapping[str, str] = {}
        """What the last climb of the connection has learnt of the caller."""
        self._context = context

    def stages(self, target: Target) -> Sequence[Sequence[Section]]:
        """The connection, then the index if one is asked for."""
        steps = self._connection()
        connection = Section(
            ("opensearch", "connection"), tuple(s.rung for s in steps), lambda: self._climb_connection(steps)
        )
        if target.index is None:
            return [[connection]]
        return [[connection], [self._section(target.index, _dimensions(target), create=target.create)]]

    def _connection(self) -> list[Step]:
        signed = [identity_rung.step(self._identity)] if self._settings.opensearch_use_iam_auth else []
        return [
            Step(Rung.CONFIGURATION, self._check_configuration, limit=1.0),
            *signed,
            *network.steps(self._route, self._context),
            Step(Rung.AUTHENTICATION, self._probe_access, LIMIT, Reason.REQUEST_TIMEOUT),
        ]

    async def _climb_connection(self, steps: Sequence[Step]) -> Climb:
        climbed = await climb(Service.OPENSEARCH, steps, known=self._facts({}))
        self._caller = climbed.evidence
        return climbed

    async def _climb_index(self, steps: Sequence[Step]) -> Climb:
        return await climb(Service.OPENSEARCH, steps, known=self._facts(self._caller))

    def _facts(self, caller: Mapping[str, str]) -> dict[str, str]:
        """What texts about this collection need: who asks, and the names and the ARN that policies use."""
        facts = {
            **self._route.evidence(),
            **{name: caller[name] for name in identity_rung.SHARED_EVIDENCE if name in caller},
            "region": self._settings.aws_region or "",
            "collection": self._settings.opensearch_collection_name or "",
            "signing_service": self._settings.opensearch_service if self._settings.opensearch_use_iam_auth else "none",
        }
        if self._name:
            partition, account = caller.get("partition", "aws"), caller.get("account", "<account>")
            facts["collection_arn"] = self._name.resource_arn(partition, account)
        elif self._settings.opensearch_service == "es":
            facts["collection_arn"] = "arn:aws:es:<region>:<account>:domain/<domain>/*"
        return facts

    async def _check_configuration(self, _notes: Notes) -> None:
        if problem := configuration_problem(self._settings, self._name):
            raise problem

    async def _probe_access(self, notes: Notes) -> None:
        notes.add(**self._facts(notes.evidence))
        await self._opened().probe_access()

    def _opened(self) -> VectorIndex:
        if self._index is None:
            raise _not_configured("OPENSEARCH_ENDPOINT")
        return self._index

    # ── one index ────────────────────────────────────────────────────────────────────────────────────
    def _section(self, index: str, dimensions: int | None, *, create: bool) -> Section:
        probe = _IndexProbe(self._opened, index, dimensions, create=create)
        steps = [
            Step(Rung.AUTHORIZATION, probe.look, CREATE_LIMIT if create else LIMIT, Reason.REQUEST_TIMEOUT),
            Step(Rung.OPERATION, probe.prove, LIMIT, Reason.REQUEST_TIMEOUT),
        ]
        key = ("opensearch", "index", index, str(dimensions or ""), *(["create"] if create else []))
        return Section(key, tuple(step.rung for step in steps), lambda: self._climb_index(steps))


class _IndexProbe:
    """Looks at one index, then proves that it can be written to."""

    def __init__(self, opened: Callable[[], VectorIndex], index: str, dimensions: int | None, *, create: bool) -> None:
        self._opened = opened
        self._name = index
        self._dimensions = dimensions
        self._create = create
        self._found: IndexState | None = None

    async def look(self, notes: Notes) -> None:
        """The index can be seen; an absent one is created if that is wanted, and otherwise a warning."""
        notes.add(index=self._name)
        index = self._opened()
        self._found = await index.describe(self._name)
        if self._found is not None:
            return
        if self._create and self._dimensions is not None:
            await index.create(self._name, self._dimensions)
            notes.add(created=self._name)
        else:
            notes.warn(Reason.INDEX_ABSENT)

    async def prove(self, notes: Notes) -> None:
        """The index holds vectors of the right length, and documents may be written."""
        if self._found is not None:
            check_state(self._found, self._dimensions)
            notes.add(dimensions=str(self._found.dimensions))
        try:
            await self._opened().probe_write(self._name)
        except DependencyError as error:
            # Whoever may not write is told so before the index is looked for: "no such index" proves the permission.
            # It is also what Serverless says of an index that was made a moment ago.
            if error.reason is not Reason.INDEX_NOT_FOUND or self._found is not None:
                raise


def check_state(found: IndexState, dimensions: int | None) -> None:
    """Raises `MappingMismatch` or `DimensionMismatch`; ``dimensions`` None: any length will do."""
    if found.dimensions is None:
        raise DependencyError(Service.OPENSEARCH, Reason.MAPPING_MISMATCH)
    if dimensions is not None and found.dimensions != dimensions:
        evidence = {"expected_dimensions": str(found.dimensions), "dimensions": str(dimensions)}
        raise DependencyError(Service.OPENSEARCH, Reason.DIMENSION_MISMATCH, evidence=evidence)


def configuration_problem(settings: Settings, name: opensearch_endpoint.EndpointName | None) -> DependencyError | None:
    """What the settings alone show to be missing or wrong; ``name`` is what the endpoint's name says."""
    if settings.opensearch_endpoint is None:
        return _not_configured("OPENSEARCH_ENDPOINT")
    if not settings.opensearch_use_iam_auth:
        return None
    if settings.aws_region is None:
        return _not_configured("AWS_REGION")
    if name is None:  # an alias, or not AWS: nothing to compare with
        return None
    if name.service != settings.opensearch_service:
        detail = f"it is {settings.opensearch_service}, but the endpoint is of {name.service}"
        return _invalid("OPENSEARCH_SERVICE", detail)
    if name.region != settings.aws_region:
        detail = f"it is {settings.aws_region}, but the endpoint is in {name.region}"
        return _invalid("AWS_REGION", detail, signing_region=settings.aws_region, endpoint_region=name.region)
    return None


def _dimensions(target: Target) -> int | None:
    return target.dimensions if target.model is None else models.dimensions(target.model, target.dimensions)


def _not_configured(variable: str) -> DependencyError:
    return DependencyError(Service.OPENSEARCH, Reason.NOT_CONFIGURED, evidence={"variable": variable})


def _invalid(variable: str, detail: str, **evidence: str) -> DependencyError:
    evidence |= {"variable": variable, "detail": detail}
    return DependencyError(Service.OPENSEARCH, Reason.INVALID_CONFIGURATION, evidence=evidence)
