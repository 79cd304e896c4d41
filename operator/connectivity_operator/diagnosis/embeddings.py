"""The ladder of the embeddings API: key, network, whether the key is accepted, and one real embedding a model."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from connectivity_operator import models
from connectivity_operator.diagnosis import network
from connectivity_operator.diagnosis.ladder import Climb, Notes, RungOutcome, Step, climb
from connectivity_operator.diagnosis.proxy import proxy_for
from connectivity_operator.diagnosis.sections import Section, Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import EmbeddingsProber
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings

PROBE_TEXT = "connectivity test"
"""What is embedded to prove a model: short, because it is paid for, and always the same."""

KEY_LIMIT = 10.0
EMBEDDING_LIMIT = 30.0
HTTPS_PORT = 443
"""Seconds."""

_ABOUT_THE_MODEL = {Reason.MODEL_ACCESS_DENIED, Reason.MODEL_NOT_FOUND}
_MODEL_ACCEPTED = {Reason.INPUT_REJECTED, Reason.INVALID_RESPONSE, Reason.DIMENSION_MISMATCH}
"""Failures of an embedding that come only after the model was found and allowed."""


class EmbeddingsLadder:
    """Implements `sections.ServiceLadder`."""

    service = Service.OPENAI

    def __init__(self, *, settings: Settings, embedder: EmbeddingsProber, context: ssl.SSLContext) -> None:
        url = urlsplit(settings.openai_base_url)
        self._tls = url.scheme == "https"
        host, port = url.hostname or "", url.port or (443 if self._tls else 80)
        proxies = (settings.https_proxy, settings.no_proxy) if self._tls else (None, None)
        proxy = proxy_for(host, port, https_proxy=proxies[0], no_proxy=proxies[1], context=context)
        self._route = network.Route(Service.OPENAI, host, port, proxy)
        self._context = context
        self._embedder = embedder
        self._default_model = settings.openai_embedding_model
        self._known = self._route.evidence()
        if "operator_namespace" in settings.model_fields_set:  # else it is only a default
            self._known["namespace"] = settings.operator_namespace

    def stages(self, target: Target) -> Sequence[Sequence[Section]]:
        """The connection, then the model if one is asked for."""
        steps = self._connection()
        connection = Section(("openai", "connection"), tuple(s.rung for s in steps), lambda: self._climb(steps))
        if target.model is None:
            return [[connection]]
        return [[connection], [self._section(target.model, target.dimensions)]]

    def _connection(self) -> list[Step]:
        way = network.steps(self._route, self._context) if self._tls else self._plain()
        return [
            Step(Rung.CONFIGURATION, self._check_key, limit=1.0),
            *way,
            Step(Rung.AUTHENTICATION, self._probe_key, KEY_LIMIT, Reason.REQUEST_TIMEOUT),
        ]

    def _plain(self) -> list[Step]:
        """A server in the cluster may be spoken to without TLS."""
        return [network.dns_step(self._route), network.tcp_step(self._route)]

    async def _climb(self, steps: Sequence[Step]) -> Climb:
        return await climb(Service.OPENAI, steps, known=self._known)

    async def _check_key(self, _notes: Notes) -> None:
        if not self._tls and self._route.port == HTTPS_PORT:
            evidence = {"variable": "OPENAI_BASE_URL", "detail": "it says http://, but port 443 speaks TLS"}
            raise DependencyError(Service.OPENAI, Reason.INVALID_CONFIGURATION, evidence=evidence)
        self._embedder.check_key()

    async def _probe_key(self, _notes: Notes) -> None:
        await self._embedder.probe_key(self._default_model)

    # ── one model ────────────────────────────────────────────────────────────────────────────────────
    def _section(self, model: str, dimensions: int | None) -> Section:
        expected = models.dimensions(model, dimensions)

        async def embed(notes: Notes) -> None:
            notes.add(model=model)
            made = await self._embedder.embed([PROBE_TEXT], model=model, dimensions=dimensions)
            if expected is not None and made.dimensions != expected:
                evidence = {"dimensions": str(made.dimensions), "expected_dimensions": str(expected)}
                raise DependencyError(Service.OPENAI, Reason.DIMENSION_MISMATCH, evidence=evidence)
            notes.add(dimensions=str(made.dimensions))

        async def run() -> Climb:
            step = Step(Rung.OPERATION, embed, EMBEDDING_LIMIT, Reason.REQUEST_TIMEOUT)
            return by_rung(await self._climb([step]))

        return Section(model_key(model, expected), (Rung.AUTHORIZATION, Rung.OPERATION), run)


def model_key(model: str, dimensions: int | None) -> tuple[str, ...]:
    """What the section of a model is shared by; ``dimensions`` as in `models.dimensions`."""
    return ("openai", "model", model, str(dimensions or ""))


def by_rung(embedding: Climb) -> Climb:
    """One embedding proves two rungs: that the key may use the model, and that it gives vectors.

    A request that failed for another reason has proven nothing of the model: that rung counts as not climbed.
    """
    [operation] = embedding.outcomes
    failure = embedding.failure
    if failure and failure.reason in _ABOUT_THE_MODEL:
        refused = replace(operation, rung=Rung.AUTHORIZATION)
        skipped = RungOutcome(Rung.OPERATION, Result.SKIPPED)
        return replace(embedding, outcomes=(refused, skipped), failure=replace(failure, rung=Rung.AUTHORIZATION))
    proven = failure is None or failure.reason in _MODEL_ACCEPTED
    allowed = RungOutcome(Rung.AUTHORIZATION, Result.PASSED, 0.0) if proven else None
    return replace(embedding, outcomes=(allowed or RungOutcome(Rung.AUTHORIZATION, Result.SKIPPED), operation))
