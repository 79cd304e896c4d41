"""The errors of the program, and who heals each.

::

    ConnectivityError
    ├── SettingsError        environment variables are wrong       whoever deploys the operator; exit code 2
    ├── PolicyError          the policy file is wrong              whoever deploys the operator; exit code 2 at start
    ├── NotAllowed           a resource asks for too much          the resource's author, or whoever owns the policy
    ├── PositionsLost        committed offsets point to nowhere    the pipeline itself: resumes at the beginning
    └── DependencyError      a dependency did not do what we asked see `diagnosis.catalogue` for its reason
        └── ContentRefused   … and blames what was sent            nobody: that message is recorded and skipped,
                                                                   once a known-good one is accepted

Adapters translate every foreign exception into one of these; nothing above them sees another library's
exceptions. Text for users comes from the catalogue, by reason and evidence, never from ``str(exception)``:
library texts hide the cause, and some of them contain tokens and keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectivity_operator.ports import TopicPartition
    from connectivity_operator.reasons import Reason, Rung, Service


class ConnectivityError(Exception):
    """Root of everything this program raises on purpose."""


class SettingsError(ConnectivityError):
    """Every problem of the environment at once, as (variable name, what is wrong and how to fix it)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in problems))
        self.problems = tuple(problems)


class PolicyError(ConnectivityError):
    """The policy file cannot be read or breaks its schema; the text names the place and the fix."""


class NotAllowed(ConnectivityError):
    """The policy refuses what a resource asks for. ``str()`` names the field, the rule and where to change it."""


class PositionsLost(ConnectivityError):
    """The broker no longer has (or never had) the offsets we wanted to read from."""

    def __init__(self, partitions: Mapping[TopicPartition, int]) -> None:
        super().__init__(f"{len(partitions)} partitions out of range")
        self.partitions = dict(partitions)
        """Partition -> the offset that was asked for."""


class DependencyError(ConnectivityError):
    """A dependency did not do what was asked.

    ``evidence`` holds safe, short facts by the names that the catalogue's templates use
    (``host``, ``port``, ``topic``, ``principal`` …); never a token, a key, a signature or message text.
    ``rung`` is set only where the catalogue's own rung for the reason would be wrong.
    """

    def __init__(
        self,
        service: Service,
        reason: Reason,
        *,
        evidence: Mapping[str, str] | None = None,
        rung: Rung | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
        self.evidence = dict(evidence or {})
        self.rung = rung
        self.retry_after = retry_after
        """Seconds that the server asked us to wait, if it did."""


class ContentRefused(DependencyError):
    """The answer blames the content of the request: a candidate for condemnation, never proof of it alone."""
