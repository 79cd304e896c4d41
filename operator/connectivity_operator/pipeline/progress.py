"""What a pipeline shows of itself: frozen snapshots for the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import TopicPartition
from connectivity_operator.reasons import Reason, Service
from connectivity_operator.status import Counters, timestamp


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not work now and is tried again and again."""

    error: DependencyError
    since: float
    """Loop time of the first failure of this series."""
    tries: int
    """Failures in a row."""


@dataclass(frozen=True, slots=True)
class LastMessage:
    """The message that went all the way last; durations are those of its batch."""

    topic: str
    partition: int
    offset: int
    document_id: str
    completed: datetime
    embed: float
    index: float
    log: float
    total: float
    """Seconds from being read to its row."""

    def body(self) -> dict[str, Any]:
        """As in ``status.pipeline.lastMessage``."""
        seconds = {"embed": self.embed, "index": self.index, "log": self.log, "total": self.total}
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "documentId": self.document_id,
            "completedTime": timestamp(self.completed),
            "milliseconds": {name: round(value * 1000) for name, value in seconds.items()},
        }


@dataclass(frozen=True, slots=True)
class LastRejected:
    """The message that was rejected last."""

    topic: str
    partition: int
    offset: int
    reason: Reason

    def body(self) -> dict[str, Any]:
        """As in ``status.pipeline.lastRejected``."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset, "reason": str(self.reason)}


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a pipeline. Times are loop times (monotonic seconds); None: never."""

    counters: Counters = Counters()
    lag: int = 0
    """Messages between the finished prefix and the end of the partitions assigned to us, as far as known."""
    starting: bool = True
    """Not every partition has a position yet (or there is no partition at all)."""
    followed: frozenset[str] = frozenset()
    """Topics whose positions the group has committed."""
    last_message: LastMessage | None = None
    last_rejected: LastRejected | None = None
    finished_at: float | None = None
    """When the last message was finished: logged, skipped or rejected."""
    accepted_at: float | None = None
    """When the last message was finished that was not rejected."""
    lagging_since: float | None = None
    """Since when lag has been above zero without a message being finished; None while there is none."""
    silent: tuple[TopicPartition, float] | None = None
    """The partition of which nothing has come for longest although messages wait there, and for how many seconds."""
    troubles: Mapping[Service, Trouble] = field(default_factory=dict)
    """What is being retried, the oldest trouble of each service."""
    throttled: bool = False
    """The policy's pace holds messages back."""
    proofs: Mapping[Service, float] = field(default_factory=dict)
    """When traffic last proved a service: records read, vectors made, documents written, rows inserted."""
    dimensions: int | None = None
    """Length of the vectors, as soon as known."""

    @property
    def trouble(self) -> tuple[Service, Trouble] | None:
        """The oldest trouble of all."""
        return min(self.troubles.items(), key=lambda item: item[1].since, default=None)
