"""The composition root: what is shared in the process, opened in order, closed in reverse.

The only module that knows the adapters. `Engine` is what ``check``, ``send`` and the operator have in common:
one AWS credential chain, one client a dependency, one diagnosis. `host.Operator` adds resources to it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from connectivity_operator import trust
from connectivity_operator.adapters.aws import AwsIdentity, web_identity
from connectivity_operator.adapters.embeddings import ApiKey, OpenAIEmbedder
from connectivity_operator.adapters.kafka import Access, GroupConsumer, Membership, Prober, Producer
from connectivity_operator.adapters.kubernetes_api import KubernetesApi
from connectivity_operator.adapters.opensearch import OpenSearchIndex
from connectivity_operator.adapters.postgresql import PostgresRowLog, table
from connectivity_operator.diagnosis import catalogue
from connectivity_operator.diagnosis.catalogue import Explanation
from connectivity_operator.diagnosis.embeddings import EmbeddingsLadder
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.identity import IdentityCheck
from connectivity_operator.diagnosis.kafka import KafkaLadder, msk
from connectivity_operator.diagnosis.ladder import Climb, Failure
from connectivity_operator.diagnosis.opensearch import OpenSearchLadder
from connectivity_operator.diagnosis.postgresql import PostgreSQLLadder
from connectivity_operator.diagnosis.probes import Probes, climbing_since
from connectivity_operator.diagnosis.proxy import proxy_for
from connectivity_operator.duty import Order
from connectivity_operator.errors import DependencyError
from connectivity_operator.permissions import Demand, Privileges, privileges
from connectivity_operator.pipeline.budget import Budget
from connectivity_operator.pipeline.pace import Pace
from connectivity_operator.pipeline.pipeline import Pipeline
from connectivity_operator.pipeline.sharing import SharedEmbedder, SharedIndex, SharedRows
from connectivity_operator.pipeline.work import Work
from connectivity_operator.ports import Embedder, MessageSource, RowLog, VectorIndex
from connectivity_operator.reasons import Reason, Service
from connectivity_operator.settings import Settings
from connectivity_operator.status import Status

IDENTITY_LIFE = 5.0
"""Seconds for which one climb of the identity rung serves whoever asks outside of a climb (`send`, the start)."""


class _Unconfigured:
    """Stands where a dependency has no settings: whatever is asked of it is `NotConfigured`."""

    def __init__(self, service: Service, variable: str) -> None:
        self._error = partial(DependencyError, service, Reason.NOT_CONFIGURED, evidence={"variable": variable})

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)

        async def refuse(*_: object, **__: object) -> Any:
            raise self._error()

        return refuse


def _unconfigured(service: Service, variable: str) -> Any:
    return _Unconfigured(service, variable)


@dataclass(frozen=True)
class Engine:
    """What every use of the program shares."""

    settings: Settings
    diagnosis: Diagnosis
    identity: Callable[[], Awaitable[Climb]]
    embedder: Embedder
    index: VectorIndex
    rows: RowLog
    _access: Access
    _prober: Prober
    _trusted: ssl.SSLContext

    def describe(self, service: Service, failure: Failure) -> Explanation:
        """A failure in words, with a runbook link when the operator has one."""
        return catalogue.describe(service, failure, self.settings.runbooks_url)

    def describe_error(self, error: DependencyError) -> Explanation:
        """The same for an error outside any ladder."""
        reason, evidence = error.reason, error.evidence
        if reason is Reason.CERTIFICATE_UNTRUSTED and (unusable := trust.unusable(self._trusted)):
            reason, evidence = Reason.CA_FILE_UNUSABLE, {**evidence, **unusable}
        entry = catalogue.CATALOGUE[error.service, reason]
        return self.describe(error.service, Failure(reason, error.rung or entry.rung, evidence))

    def source(self, group: str, client_id: str) -> MessageSource:
        """A new, unstarted member of a consumer group."""
        membership = Membership(max_poll_interval_ms=self.settings.kafka_max_poll_interval_ms)
        return GroupConsumer(
            access=self._access, prober=self._prober, group=group, client_id=client_id, membership=membership
        )

    async def send(self, topic: str, values: Sequence[bytes]) -> list[tuple[int, int]]:
        """Produce; (partition, offset) of each. Raises `DependencyError`, evidence complete for the remedy."""
        try:
            return await Producer(self._access, self._prober).send(topic, values)
        except DependencyError as error:
            # The remedy names the caller and the topic's ARN; the broker's refusal knows neither.
            caller = (await self.identity()).evidence
            error.evidence = {**caller, "topic": topic, "topic_arn": self._topic_arn(topic, caller), **error.evidence}
            raise

    def _topic_arn(self, topic: str, caller: Mapping[str, str]) -> str:
        host = next(iter(self.settings.kafka_bootstrap_servers), "")
        facts = {"region": self.settings.aws_region or "<region>", **caller}
        return msk.topic_arn(self.settings.kafka_cluster_arn or msk.cluster_arn(host, facts), topic)


@asynccontextmanager
async def engine(settings: Settings, probed: Callable[[Climb], None] = lambda climb: None) -> AsyncIterator[Engine]:
    """Open what is shared; closes it in reverse order. ``probed`` hears of every climb that is really made."""
    async with AsyncExitStack() as stack:
        context = trust.context(settings.extra_ca_file)
        aws = AwsIdentity(region=settings.aws_region, ca_files=(settings.extra_ca_file,))
        stack.push_async_callback(aws.close)
        probes = Probes(made=probed)
        check = IdentityCheck(aws, known={**web_identity.pod(os.environ), "region": settings.aws_region or ""})
        # Asked from within other probes: with their slots it would wait for those who wait for it.
        callers = Probes(limit=1, made=probed)

        async def identity() -> Climb:
            return await callers.get(("identity",), check.climb, max_age=IDENTITY_LIFE, not_before=climbing_since())

        access = Access(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            security_protocol=settings.kafka_security_protocol,
            context=context,
            token=aws.msk_token,
        )
        prober = Prober(access)
        embedder = _embedder(settings, context)
        stack.push_async_callback(embedder.close)
        index = _index(settings, aws, context)
        rows = _rows(settings, aws)
        for adapter in (index, rows):
            if adapter:
                stack.push_async_callback(adapter.close)
        kafka = KafkaLadder(settings=settings, prober=prober, identity=identity, context=context)
        stack.push_async_callback(kafka.close)
        ladders = (
            kafka,
            EmbeddingsLadder(settings=settings, embedder=embedder, context=context),
            OpenSearchLadder(settings=settings, index=index, identity=identity, context=context),
            PostgreSQLLadder(
                settings=settings,
                prober=rows,
                identity=identity,
                context=trust.context(settings.extra_ca_file, settings.postgres_ca_file),
            ),
        )
        # Closed first: a climb under way would use clients that are closed already.
        stack.push_async_callback(callers.close)
        stack.push_async_callback(probes.close)
        yield Engine(
            settings,
            Diagnosis(ladders, probes),
            identity,
            embedder,
            index or _unconfigured(Service.OPENSEARCH, "OPENSEARCH_ENDPOINT"),
            rows or _unconfigured(Service.POSTGRESQL, "POSTGRES_HOST"),
            access,
            prober,
            context,
        )


def _proxy(settings: Settings, url: str, context: ssl.SSLContext) -> str | None:
    """The proxy's URL for ``url``; None for a direct connection."""
    target = urlsplit(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    used = proxy_for(
        target.hostname or "", port, https_proxy=settings.https_proxy, no_proxy=settings.no_proxy, context=context
    )
    return settings.https_proxy if used else None


def _embedder(settings: Settings, context: ssl.SSLContext) -> OpenAIEmbedder:
    key = settings.openai_api_key
    return OpenAIEmbedder(
        base_url=settings.openai_base_url,
        api_key=ApiKey(value=key.get_secret_value() if key else None, path=settings.openai_api_key_file),
        context=context,
        proxy=_proxy(settings, settings.openai_base_url, context),
    )


def _index(settings: Settings, aws: AwsIdentity, context: ssl.SSLContext) -> OpenSearchIndex | None:
    if settings.opensearch_endpoint is None:
        return None
    return OpenSearchIndex(
        endpoint=settings.opensearch_endpoint,
        service=settings.opensearch_service,
        region=settings.aws_region,
        credentials=aws.credentials if settings.opensearch_use_iam_auth else None,
        ca_bundle=trust.bundle(settings.extra_ca_file),
        proxy=_proxy(settings, settings.opensearch_endpoint, context),
    )


def _rows(settings: Settings, aws: AwsIdentity) -> PostgresRowLog | None:
    host, database, user = settings.postgres_host, settings.postgres_db, settings.postgres_user
    if not (host and database and user):
        return None
    port, password = settings.postgres_port, settings.postgres_password

    async def secret() -> str:
        if settings.postgresql_use_iam_auth:
            return await aws.rds_token(host, port, user)
        return password.get_secret_value() if password else ""

    return PostgresRowLog(
        host=host,
        port=port,
        database=database,
        user=user,
        password=secret,
        context=trust.context(settings.extra_ca_file, settings.postgres_ca_file),
        iam=settings.postgresql_use_iam_auth,
    )


def kubernetes_api(settings: Settings) -> KubernetesApi:
    """The API server for statuses and events (`ports.ResourceApi`) and for the uninstallation, once entered."""
    return KubernetesApi(component=settings.operator_name)


async def watched_resources(settings: Settings) -> list[Mapping[str, Any]]:
    """Every ConnectivityTest that this operator watches, as the API server has it. Raises `ApiServerError`."""
    async with kubernetes_api(settings) as api:
        return await api.resources(settings.watch_namespaces, settings.watch_label_selector)


def least_privileges(
    settings: Settings, demand: Demand, told: Mapping[str, str], left_out: tuple[str, ...] = ()
) -> Privileges:
    """What must be granted; who it is for says ``told`` and, where that is silent, this process's environment."""
    facts = {**web_identity.evidence(os.environ), **web_identity.service_account(os.environ)}
    return privileges(settings, demand, {**facts, **told}, table=table.CREATE, left_out=left_out)


NewPipeline = Callable[[Order, Status, Callable[[], None], Pace], Pipeline]


def shared_pipelines(shared: Engine) -> NewPipeline:
    """Makes pipelines that share requests, connections and memory; only the group's member is a pipeline's own."""
    budget = Budget()
    embedder, index, rows = SharedEmbedder(shared.embedder), SharedIndex(shared.index), SharedRows(shared.rows)

    def new(order: Order, before: Status, changed: Callable[[], None], pace: Pace) -> Pipeline:
        ref, spec = order.resource.ref, order.resource.spec
        work = Work(
            namespace=ref.namespace,
            name=ref.name,
            uid=ref.uid,
            topics=spec.topics,
            index=spec.index,
            model=order.model,
            dimensions=spec.dimensions,
            start_from=spec.start_from,
        )
        return Pipeline(
            work,
            source=lambda: shared.source(order.group, f"{ref.namespace}.{ref.name}"),
            embedder=embedder,
            index=index,
            rows=rows,
            budget=budget,
            pace=pace,
            followed=before.pipeline.topics,
            counters=before.pipeline.counters,
            changed=changed,
            interval=float(spec.interval_seconds),
        )

    return new
