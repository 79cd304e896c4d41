"""Which topics, indices and models each namespace may use: the policy file.

Whoever can create a ConnectivityTest borrows the operator's IAM role; the policy is what bounds that. It is a
YAML file, normally from a ConfigMap of the operator's release; `docs/policy.md` describes it. The first rule
whose ``namespaces`` match applies; a namespace that no rule matches may use nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from connectivity_operator.errors import NotAllowed, PolicyError

OWN = "$OPERATOR_NAMESPACE"
"""In ``namespaces``: the namespace that the operator itself runs in."""

INTERNAL = "__*"
"""Kafka's own topics (``__consumer_offsets`` …): never allowed, whatever a rule says."""

SHOWN = 5
"""So many names or patterns are listed in a refusal; a condition's message has room for 512 characters."""


class Asked(Protocol):
    """What of a spec the policy looks at (`resource.ResourceSpec`)."""

    @property
    def topics(self) -> frozenset[str]: ...
    @property
    def index(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def start_from(self) -> Literal["Latest", "Earliest"]: ...


Pattern = Annotated[str, Field(min_length=1, max_length=255)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=256)]


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)


class Rule(_Schema):
    """What some namespaces may use. Patterns are globs: ``*``, ``?``, ``[abc]``; case matters."""

    namespaces: Annotated[Patterns, Field(min_length=1)]
    topics: Patterns
    indices: Patterns
    models: Patterns
    """Models that a spec names; the operator's own default model is always allowed."""
    allow_earliest: bool = False
    """Whether ``startFrom: Earliest`` may be asked for: it reads (and embeds) all that a topic holds."""
    max_messages_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Of all resources of a namespace together; what exceeds it waits as lag. None: no limit."""


class _File(_Schema):
    rules: Annotated[tuple[Rule, ...], Field(max_length=1000)]


class Policy:
    """Decides whether a namespace may have what a spec asks for."""

    def __init__(self, rules: Sequence[Rule], *, source: str | None, missing: bool = False) -> None:
        """``source``: where to change the rules, for texts; None: there are none, nothing is restricted.

        ``missing``: there should be rules, but nobody has them.
        """
        self.rules = tuple(rules)
        self.source = source
        self._missing = missing

    @classmethod
    def unrestricted(cls) -> Self:
        """Without a policy file (a laptop, `check`): only internal topics are refused."""
        everything: Any = {"namespaces": ["*"], "topics": ["*"], "indices": ["*"], "models": ["*"]}
        return cls([Rule.model_validate({**everything, "allowEarliest": True})], source=None)

    @classmethod
    def missing(cls, path: Path, own_namespace: str) -> Self:
        """While there is no policy file: nothing is allowed. Not restricting anything would be the worst answer."""
        return cls([], source=_source(path, own_namespace), missing=True)

    @classmethod
    def load(cls, path: Path | None, own_namespace: str) -> Self:
        """Read a policy file, if there is to be one. Raises `PolicyError` that names the place and the fix."""
        return cls.parse(_there(_text(path), path), path, own_namespace) if path else cls.unrestricted()

    @classmethod
    def parse(cls, text: str, path: Path, own_namespace: str) -> Self:
        """A policy from the text of its file; ``path`` is for messages only."""
        try:
            loaded = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: the thirteenth month, for example
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
            problem = getattr(error, "problem", None) or "unreadable"
            raise PolicyError(f"POLICY_FILE {path}, {place}: is no YAML ({problem})") from error
        try:
            content = _File.model_validate(loaded)
        except ValidationError as error:
            problems = "; ".join(_problem(details) for details in error.errors(include_url=False))
            raise PolicyError(f"POLICY_FILE {path}: {problems}. See docs/policy.md") from None
        rules = [
            rule.model_copy(update={"namespaces": tuple(own_namespace if n == OWN else n for n in rule.namespaces)})
            for rule in content.rules
        ]
        return cls(rules, source=_source(path, own_namespace))

    def rule(self, namespace: str) -> tuple[int, Rule] | None:
        """The rule that applies to a namespace, with its number (from 1); None: no rule does."""
        for number, rule in enumerate(self.rules, start=1):
            if _matches(namespace, rule.namespaces):
                return number, rule
        return None

    def check(self, namespace: str, spec: Asked) -> None:
        """Raise `NotAllowed` with every field that is refused, the rule behind it and where to change it."""
        if self._missing:
            raise NotAllowed(
                f"There is no policy, so nothing is allowed: {self.source} is missing. "
                "Make it again (helm upgrade); it is read without a restart."
            )
        found = self.rule(namespace)
        if found is None:
            raise NotAllowed(
                f"No rule of the policy applies to namespace {namespace}, so it may use nothing. "
                f"Add a rule for it to {self.source}."
            )
        number, rule = found
        refused = _refused(rule, spec)
        internal = sorted(topic for topic in spec.topics if fnmatchcase(topic, INTERNAL))
        if internal:
            refused = [f"spec.topics: {_some(internal)} (internal topics are never allowed)", *refused]
        if refused and self.source is None:
            raise NotAllowed(f"Refused: {'; '.join(refused)}. Choose other topics.")
        if refused:
            raise NotAllowed(
                f"Rule {number} of the policy (namespaces {_some(rule.namespaces)}) refuses {'; '.join(refused)}. "
                f"Ask for what is allowed, or change rule {number} in {self.source}."
            )

    def max_messages_per_minute(self, namespace: str) -> int | None:
        """How many messages the resources of a namespace may handle together in a minute; None: no limit."""
        found = self.rule(namespace)
        return found[1].max_messages_per_minute if found else None


class PolicyFile:
    """The policy in force, read again when its file changes."""

    def __init__(self, path: Path | None, own_namespace: str) -> None:
        """Without a ``path`` nothing is restricted; while there is no file, nothing is allowed.

        Raises `PolicyError` for a file that cannot be used.
        """
        self._path = path
        self._own_namespace = own_namespace
        self._seen = _text(path) if path else None
        self._problem = ""
        """What was wrong with the file when it was last looked at; told once."""
        if path and self._seen is None:
            self.current = Policy.missing(path, own_namespace)
            self._log().error("there is no policy file, nothing is allowed until there is one", status="failed")
        else:
            self.current = Policy.load(path, own_namespace)

    def refresh(self) -> bool:
        """Read the file again; True when another policy is in force now.

        A file that has gone or become unreadable or invalid changes nothing: the last good policy stays, and an
        error is logged.
        """
        if self._path is None:
            return False
        try:
            text = _text(self._path)
            if text == self._seen:
                return False
            self._seen = text
            self.current = Policy.parse(_there(text, self._path), self._path, self._own_namespace)
        except PolicyError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self._log().error(
                    "policy file is broken, the last good one stays", status="failed", detail=self._problem
                )
            return False
        self._problem = ""
        self._log().info("policy read", status="ok", rules=len(self.current.rules))
        return True

    def _log(self) -> Any:
        return structlog.get_logger().bind(service="operator", action="read policy", path=str(self._path))


def _source(path: Path, own_namespace: str) -> str:
    return f"{path} (a ConfigMap of the operator in namespace {own_namespace})"


def _text(path: Path) -> str | None:
    """None: there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        detail = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PolicyError(f"POLICY_FILE {path} cannot be read ({detail}); mount the file or correct it") from error


def _there(text: str | None, path: Path) -> str:
    if text is None:
        raise PolicyError(f"POLICY_FILE {path} does not exist; mount the file or correct the path")
    return text


def _refused(rule: Rule, spec: Asked) -> list[str]:
    """The fields of a spec that a rule refuses, each with what it allows."""
    refused = []
    topics = sorted(t for t in spec.topics if not _matches(t, rule.topics) and not fnmatchcase(t, INTERNAL))
    if topics:
        refused.append(f"spec.topics: {_some(topics)} (allowed: {_some(rule.topics)})")
    if not _matches(spec.index, rule.indices):
        refused.append(f"spec.index: {spec.index} (allowed: {_some(rule.indices)})")
    if spec.model is not None and not _matches(spec.model, rule.models):
        refused.append(f"spec.model: {spec.model} (allowed: {_some(rule.models)})")
    if spec.start_from == "Earliest" and not rule.allow_earliest:
        refused.append("spec.startFrom: Earliest (allowEarliest is false)")
    return refused


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _problem(details: ErrorDetails) -> str:
    """One of pydantic's findings in words: the place in the file and what is wrong."""
    place = ""
    for part in details["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    match details["type"]:
        case "missing":
            wrong = 'is missing (a list of patterns; ["*"] allows all)' if place != "rules" else "is missing"
        case "extra_forbidden":
            wrong = "is unknown"
        case "model_type" | "model_attributes_type":
            wrong = "is not a mapping"
        case "tuple_type":
            wrong = "is not a list"
        case "string_type":
            wrong = "is not a text (quote it)"
        case _:
            wrong = details["msg"]
    return f"{place or 'the file'} {wrong}"
