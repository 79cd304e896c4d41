"""What an entry of the catalogue says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung


class Healer(StrEnum):
    """Who can heal a cause."""

    RESOURCE = "the resource's author"
    DEPLOYMENT = "whoever deploys the operator"
    AWS = "whoever owns the AWS side"
    PROVIDER = "whoever owns the OpenAI account"
    DATABASE = "the database's administrator"
    NETWORK = "whoever owns the network"
    TIME = "time alone"


@dataclass(frozen=True, slots=True)
class Entry:
    """One reason of one service."""

    reason: Reason
    rung: Rung
    kind: Kind
    healer: Healer
    message: str
    """What was seen, as a template over evidence."""
    remedy: str
    """What to do, as a template over evidence; can be pasted."""
