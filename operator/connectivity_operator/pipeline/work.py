"""What one pipeline is to do, and one message on its way through it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.ports import Record
from connectivity_operator.reasons import Reason


@dataclass(frozen=True, slots=True)
class Work:
    """One resource's order: which topics go into which index by which model."""

    namespace: str
    name: str
    uid: str
    topics: frozenset[str]
    index: str
    model: str
    dimensions: int | None = None
    """Length of the vectors to ask for; None: the model's own."""
    start_from: Literal["Latest", "Earliest"] = "Latest"


class Outcome(Enum):
    """What becomes of a message. All three end in exactly one row and count as finished."""

    ACCEPTED = "INFO"
    SKIPPED = "WARNING"
    REJECTED = "ERROR"

    @property
    def log_level(self) -> str:
        """The row's ``log_level``."""
        return self.value


@dataclass(slots=True, eq=False)
class Message:
    """One message under way. Stages fill in what they made, so that a stage tried again repeats nothing."""

    record: Record
    watermark: Watermark
    message_id: str
    received: float
    """Loop time."""
    weight: int
    """Bytes of the memory budget that it holds."""
    text: str | None
    """What is to be embedded; None when there is nothing."""
    size: int
    """Length of the text in UTF-8 bytes."""
    outcome: Outcome = Outcome.ACCEPTED
    reason: Reason | None = None
    """Why it was skipped or rejected."""
    vector: bytes | None = None
    document_id: str | None = None
    logged: bool = False

    @property
    def wants_vector(self) -> bool:
        return self.vector is None and self.outcome is Outcome.ACCEPTED and not self.watermark.over

    @property
    def wants_document(self) -> bool:
        return self.document_id is None and self.outcome is Outcome.ACCEPTED and not self.watermark.over

    @property
    def wants_row(self) -> bool:
        return not self.logged and not self.watermark.over

    def reject(self, reason: Reason) -> None:
        """It can never succeed: what remains is its row."""
        self.outcome, self.reason = Outcome.REJECTED, reason
