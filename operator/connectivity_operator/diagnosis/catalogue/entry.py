"""What an entry of the catalogue says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

EVERYTHING = " All that the operator needs is printed by `connectivity-operator permissions`."
"""Ends the remedies of missing permissions: where one is missing, the next one often is."""


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
class Variant:
    """Other words for the same reason, where the evidence ``name`` is one of ``values`` (none given: is known at all).

    None: the entry's own words stand.
    """

    name: str
    values: tuple[str, ...] = ()
    message: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One reason of one service. Texts are templates over evidence (`words`)."""

    reason: Reason
    rung: Rung
    kind: Kind
    healer: Healer
    message: str
    """What was seen."""
    remedy: str
    """What to do; can be pasted."""
    variants: tuple[Variant, ...] = ()
    """The first one that fits wins."""

    def templates(self) -> tuple[str, ...]:
        """Every text of it."""
        others = (text for variant in self.variants for text in (variant.message, variant.remedy) if text)
        return (self.message, self.remedy, *others)
