"""What the pipeline and the diagnosis need from the outside world, and the plain values that cross the border.

Adapters implement these protocols over one client library each; fakes for unit tests implement them too and
share the adapters' contract tests. Every method raises `errors.DependencyError` (or what its docstring adds)
and nothing of a client library. Every network call has a limit inside the adapter. Times are seconds,
offsets and timestamps are integers as Kafka has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from connectivity_operator.reasons import Reason

if TYPE_CHECKING:
    from connectivity_operator.errors import DependencyError


# ── identity ─────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Caller:
    """Who AWS says we are."""

    arn: str
    """``arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION``."""
    method: str
    """``WebIdentity``, ``PodIdentity``, ``Static``, ``NodeRole`` or botocore's own name of the provider."""
    clock_skew: float
    """Seconds that our clock is ahead of STS (its ``Date`` header); negative when behind."""
    endpoint: str = ""
    """Host of the STS that answered; ``sts.amazonaws.com`` is the global one, which a VPC endpoint does not serve."""

    @property
    def role_arn(self) -> str:
        """The IAM role behind an assumed-role ARN (what policies name); the ARN itself for anything else."""
        parts = self.arn.split(":", 5)
        if len(parts) == 6 and parts[2] == "sts" and parts[5].startswith("assumed-role/"):
            return f"arn:{parts[1]}:iam::{parts[4]}:role/{parts[5].split('/')[1]}"
        return self.arn


class Identity(Protocol):
    """The one AWS credential chain of the process."""

    async def ensure_credentials(self) -> str:
        """Make sure that unexpired credentials exist (refreshing off the event loop); returns the method's name."""

    def refresh_failure(self) -> DependencyError | None:
        """Why the last refresh failed, while older credentials are still good enough to go on with; else None."""

    def endpoint(self) -> str:
        """Host of the STS that is asked."""

    async def caller(self) -> Caller:
        """``sts:GetCallerIdentity``, which needs no permission."""


# ── Kafka ────────────────────────────────────────────────────────────────────────────────────────────
class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka message. ``value`` is None for a tombstone; ``timestamp`` is milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None


class Bounds(NamedTuple):
    """What a partition holds: ``begin`` is the first offset that exists, ``end`` the next to be written."""

    begin: int
    end: int


class AssignmentListener(Protocol):
    """Called by a `MessageSource` inside its rebalance; the group waits for both to return."""

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None: ...
    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None: ...


class MessageSource(Protocol):
    """One member of one consumer group. Nothing is committed or positioned unless asked for."""

    async def start(self, topics: frozenset[str], listener: AssignmentListener) -> None:
        """Join the group and subscribe; absent topics are no error, they give no partitions until they exist."""

    async def fetch(self, *, limit: int, wait: float) -> Sequence[Record]:
        """Up to ``limit`` records, waiting at most ``wait`` seconds for the first one.

        Records of one partition come in offset order. Raises `PositionsLost` when a position is out of range.
        Must be called often even while everything is paused: it is also what proves the member alive.
        """

    def pause(self) -> None:
        """Stop fetching every assigned partition (membership goes on)."""

    def resume(self) -> None: ...
    def assignment(self) -> frozenset[TopicPartition]: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def position(self, partition: TopicPartition) -> int | None:
        """Next offset to be fetched; None while it has none."""

    async def partitions(self, topics: frozenset[str]) -> frozenset[TopicPartition]:
        """Partitions that exist now."""

    async def committed(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int | None]: ...
    async def bounds(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, Bounds]: ...
    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...
    async def stop(self) -> None:
        """Leave the group and close the connections; never raises."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker as the cluster advertises it."""

    id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TopicMetadata:
    """A topic as one broker sees it: ``error`` is None, TopicNotFound, DescribeTopicDenied or LeaderUnavailable."""

    error: Reason | None
    leaders: Mapping[int, int]
    """Partition -> broker id of its leader (-1: none)."""


@dataclass(frozen=True, slots=True)
class ClusterMetadata:
    """The answer to one Metadata request (never one that would create a topic)."""

    brokers: Mapping[int, Broker]
    topics: Mapping[str, TopicMetadata]


class KafkaConnection(Protocol):
    """One authenticated connection to one broker, for probes. Every call raises `DependencyError` by its code."""

    async def metadata(self, topics: Sequence[str]) -> ClusterMetadata: ...
    async def find_coordinator(self, group: str) -> Broker:
        """Needs DescribeGroup; error 30 here is `DescribeGroupDenied`."""

    async def bounds(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """Only of partitions that this broker leads."""

    async def read(self, partition: TopicPartition, offset: int) -> None:
        """A real Fetch of at most a few bytes, without group: needs ReadData."""

    async def join_and_leave(self, group: str, topics: Sequence[str]) -> None:
        """Join as the only member and leave at once: needs AlterGroup. Only for `check`."""

    async def close(self) -> None: ...


class KafkaProber(Protocol):
    """Opens probe connections: the adapter's own staged code, never a client's high-level start-up."""

    async def connect(self, host: str, port: int) -> KafkaConnection:
        """TCP, TLS and the SASL login to one broker; raises with the reason of the stage that failed."""


# ── embeddings ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors in the order of the inputs: little-endian float32 bytes, ``4 * dimensions`` each, all finite."""

    vectors: Sequence[bytes]
    dimensions: int
    tokens: int


class Embedder(Protocol):
    """An OpenAI-compatible embeddings API."""

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None) -> Embeddings:
        """One request, no retries inside. At most 2,048 non-empty texts.

        Raises `ContentRefused` when the API blames an input, `DependencyError` otherwise.
        """


class EmbeddingsProber(Embedder, Protocol):
    """What the diagnosis needs beside embeddings."""

    def check_key(self) -> None:
        """Look at the API key without sending it: raises `NotConfigured`, `APIKeyMissing` or `APIKeyMalformed`."""

    async def probe_key(self, model: str) -> None:
        """Prove that the API accepts the key, on a fresh connection and free of charge.

        Whether ``model`` exists is not proven.
        """


# ── OpenSearch ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Document:
    """One message in the index; ``vector`` as in `Embeddings`."""

    message_id: str
    namespace: str
    name: str
    topic: str
    partition: int
    offset: int
    text: str
    model: str
    vector: bytes
    timestamp: int
    """The record's timestamp, milliseconds since the epoch."""


class IndexState(NamedTuple):
    """An existing index: the dimension of its ``vector`` field, None when that is not a knn_vector."""

    dimensions: int | None


class VectorIndex(Protocol):
    """An OpenSearch (Serverless) collection."""

    async def describe(self, index: str) -> IndexState | None:
        """None when the index does not exist."""

    async def create(self, index: str, dimensions: int) -> None:
        """Create with the explicit mapping; an index that exists already is no error."""

    async def write(self, index: str, documents: Sequence[Document]) -> Sequence[str | DependencyFailure]:
        """One bulk request. For each document its id in the index, or why the server refused that one.

        Raises when the request as a whole failed (nothing is known to be written); for an index that is absent,
        or not for vectors of this dimension, before anything is written (`IndexNotFound`, `MappingMismatch`,
        `DimensionMismatch`): OpenSearch would make an absent one by itself, with a guessed mapping.
        """

    async def remove(self, index: str, document_id: str) -> None:
        """Delete one document by its id; an absent one is no error."""

    async def probe_write(self, index: str) -> None:
        """Prove the permission to write by deleting a document id that does not exist; leaves nothing behind."""

    async def probe_access(self) -> None:
        """Prove that the signature and `aoss:APIAccessAll` are accepted, whatever the data access policy says."""


@dataclass(frozen=True, slots=True)
class DependencyFailure:
    """One item's refusal inside an accepted request. ``transient``: worth sending again (429, 503)."""

    reason: Reason
    transient: bool
    evidence: Mapping[str, str] = field(default_factory=dict)


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Row:
    """One row of ``demo_log``; ``id`` and ``timestamp`` are the table's own defaults."""

    kafka_topic: str
    kafka_partition: int
    kafka_offset: int
    message_content: str | None
    embedding_model: str | None
    embedding_dimensions: int | None
    opensearch_index: str | None
    opensearch_doc_id: str | None
    log_level: str
    """``INFO``, ``WARNING`` (skipped) or ``ERROR`` (rejected)."""


class RowLog(Protocol):
    """The table ``demo_log``."""

    async def ensure_table(self) -> None:
        """Look for the table, create it only if absent (never ``IF NOT EXISTS``), check its columns."""

    async def insert(self, rows: Sequence[Row]) -> None:
        """All rows in one statement and transaction. `ContentRefused` when the server blames a value."""

    async def probe(self) -> None:
        """A fresh connection, a real insert, rolled back: proves everything and leaves one used id behind."""


class PostgreSQLProbe(Protocol):
    """One fresh, logged-in connection, for one probe; the ladder's upper rungs one by one."""

    async def check_table(self) -> None:
        """As `RowLog.ensure_table`."""

    async def insert(self) -> None:
        """A real insert, rolled back: leaves one used id behind."""

    async def close(self) -> None:
        """Never raises but on cancellation."""


class PostgreSQLProber(Protocol):
    """Opens probe connections."""

    async def connect(self) -> PostgreSQLProbe:
        """Log in. A refusal of the database, not of the login, has the rung authorization."""


# ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────────
class ObjectRef(NamedTuple):
    """One ConnectivityTest."""

    namespace: str
    name: str
    uid: str


class ObjectGone(Exception):
    """The object does not exist any more, or another one has its name."""


class ResourceApi(Protocol):
    """What the status writer needs of the API server."""

    async def patch_status(self, ref: ObjectRef, status: Mapping[str, object]) -> frozenset[str]:
        """Replace the whole ``/status`` of exactly this object; the fields that were not kept (`pruning`).

        Raises `ObjectGone`, or any `ConnectivityError` for a passing fault.
        """

    async def post_event(self, ref: ObjectRef, *, kind: str, reason: str, message: str, at: datetime) -> None:
        """``kind`` is ``Normal`` or ``Warning``. Best effort: raises `ConnectivityError`."""
