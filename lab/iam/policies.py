"""IAM policy documents: parsed once, evaluated as AWS does (an explicit Deny wins, the default is Deny).

What the lab does not implement (condition operators, policy variables) fails closed: such a statement never
allows and, if it denies, always denies.
Source of the rules: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements".
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Context = Mapping[str, "str | Sequence[str]"]
"""Condition keys of a request -> value, or the values of a multi-valued key such as an audience."""

_log = logging.getLogger(__name__)

_KNOWN = {
    "Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip


class MalformedPolicyError(ValueError):
    """The document is not one that IAM would store; the text says why."""


@dataclass(frozen=True)
class Condition:
    """One line of a condition block: operator, key, and the values of which one must match."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """One statement. Exactly one of actions/not_actions is set, at most one of resources/not_resources."""

    sid: str
    allow: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    conditions: tuple[Condition, ...]
    principals: tuple[tuple[str, str], ...] = ()
    """(kind, value), e.g. ("Federated", provider ARN). Only in trust policies."""
    unsupported: str = ""
    """What the lab cannot evaluate in this statement; empty if it can evaluate all of it."""


Policy = tuple[Statement, ...]


@dataclass(frozen=True)
class Decision:
    """The outcome of an evaluation and, for the server's log only, why."""

    allowed: bool
    reason: str
    explicit: bool = False
    """Refused by a Deny statement, not by the absence of an Allow."""


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(c) or re.escape(c) for c in pattern), re.DOTALL)


def matches(pattern: str, value: str) -> bool:
    """IAM's wildcards: ``*`` is any run of characters (also of none, also across ``:`` and ``/``), ``?`` is one."""
    return _compiled(pattern).fullmatch(value) is not None


def parse(document: Mapping[str, Any]) -> Policy:
    """A policy document as JSON -> its statements. Raises `MalformedPolicyError`."""
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, Sequence) or isinstance(statements, str):
        raise MalformedPolicyError("a policy needs a Statement")
    return tuple(_statement(s, n) for n, s in enumerate(statements))


def evaluate(policies: Mapping[str, Policy], action: str, resource: str, context: Context) -> Decision:
    """Evaluate identity-based policies (name -> statements) for one action on one resource ARN."""
    allowed_by = ""
    for name, policy in policies.items():
        for statement in policy:
            if not (_covers_action(statement, action) and _covers_resource(statement, resource)):
                continue
            if not _conditions_hold(statement, context):
                continue
            label = f"statement {statement.sid} of policy {name}"
            if not statement.allow:
                return Decision(False, f"explicit deny of {action} on {resource} in {label}", explicit=True)
            allowed_by = allowed_by or label
    if allowed_by:
        return Decision(True, f"allowed by {allowed_by}")
    return Decision(False, f"no identity-based policy allows {action} on {resource}")


def evaluate_trust(policy: Policy, kind: str, principal: str, action: str, context: Context) -> Decision:
    """Evaluate a role's trust policy: may ``principal`` (of ``kind``, e.g. "Federated") take ``action``?"""
    allowed = False
    for statement in policy:
        applies = _covers_action(statement, action) and any(
            k == kind and matches(p, principal) for k, p in statement.principals
        )
        if not applies or not _conditions_hold(statement, context):
            continue
        if not statement.allow:
            return Decision(False, f"explicit deny in statement {statement.sid} of the trust policy", explicit=True)
        allowed = True
    if allowed:
        return Decision(True, "allowed by the trust policy")
    return Decision(False, f"no statement of the trust policy admits {kind} {principal} with {dict(context)}")


def without_action(document: Mapping[str, Any], action: str) -> dict[str, Any]:
    """The document without that action (compared literally, without case) in its Allow statements."""
    kept = []
    for statement in document["Statement"]:
        actions = [a for a in _strings(statement.get("Action", [])) if a.lower() != action.lower()]
        if statement["Effect"] != "Allow" or "Action" not in statement:
            kept.append(dict(statement))
        elif actions:
            kept.append({**statement, "Action": actions})
    return {**document, "Statement": kept}


# ── matching ─────────────────────────────────────────────────────────────────────────────────────────
def _covers_action(statement: Statement, action: str) -> bool:
    action = action.lower()  # actions are compared without case, resources with
    if statement.not_actions:
        return not any(matches(p.lower(), action) for p in statement.not_actions)
    return any(matches(p.lower(), action) for p in statement.actions)


def _covers_resource(statement: Statement, resource: str) -> bool:
    if statement.not_resources:
        return not any(matches(p, resource) for p in statement.not_resources)
    return any(matches(p, resource) for p in statement.resources)


def _equal(pattern: str, value: str) -> bool:
    return pattern == value


_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, True),
    "StringNotEquals": (_equal, False),
    "StringLike": (matches, True),
    "StringNotLike": (matches, False),
    "ArnEquals": (matches, True),  # AWS: ArnEquals and ArnLike behave identically
    "ArnLike": (matches, True),
}
"""Operator -> (comparison, whether one match makes the condition true; else, whether none must match)."""


def _conditions_hold(statement: Statement, context: Context) -> bool:
    if statement.unsupported:
        _log.warning("statement %s: %s is not implemented, failing closed", statement.sid, statement.unsupported)
        return not statement.allow
    return all(_condition_holds(c, context) for c in statement.conditions)


def _condition_holds(condition: Condition, context: Context) -> bool:
    compare, positive = _OPERATORS[condition.operator]
    found = context.get(condition.key)
    present = [] if found is None else [found] if isinstance(found, str) else list(found)
    any_match = any(compare(wanted, value) for wanted in condition.values for value in present)
    # A key that the request lacks makes a positive condition false and a negated one true.
    return any_match if positive else not any_match


# ── parsing ──────────────────────────────────────────────────────────────────────────────────────────
def _statement(source: Mapping[str, Any], number: int) -> Statement:
    sid = str(source.get("Sid") or f"#{number + 1}")
    if unknown := set(source) - _KNOWN:
        raise MalformedPolicyError(f"statement {sid}: unknown element {', '.join(sorted(unknown))}")
    if source.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicyError(f"statement {sid}: Effect must be Allow or Deny")
    if ("Action" in source) == ("NotAction" in source):
        raise MalformedPolicyError(f"statement {sid}: exactly one of Action and NotAction is needed")
    principals = _principals(source.get("Principal", {}))
    if not principals and ("Resource" in source) == ("NotResource" in source):
        raise MalformedPolicyError(f"statement {sid}: exactly one of Resource and NotResource is needed")
    conditions = tuple(_conditions(source.get("Condition", {})))
    return Statement(
        sid=sid,
        allow=source["Effect"] == "Allow",
        actions=_strings(source.get("Action", [])),
        not_actions=_strings(source.get("NotAction", [])),
        resources=_strings(source.get("Resource", [])),
        not_resources=_strings(source.get("NotResource", [])),
        conditions=conditions,
        principals=principals,
        unsupported=_unsupported(source, conditions),
    )


def _unsupported(source: Mapping[str, Any], conditions: Sequence[Condition]) -> str:
    for condition in conditions:
        if condition.operator not in _OPERATORS:
            return f"condition operator {condition.operator}"
    texts = [*_strings(source.get("Resource", [])), *_strings(source.get("NotResource", []))]
    texts += [value for condition in conditions for value in condition.values]
    return "a policy variable" if any("${" in text for text in texts) else ""


def _conditions(block: Mapping[str, Mapping[str, Any]]) -> list[Condition]:
    return [
        Condition(operator, key, _strings(values)) for operator, keys in block.items() for key, values in keys.items()
    ]


def _principals(source: Mapping[str, Any] | str) -> tuple[tuple[str, str], ...]:
    if source == "*":
        return (("AWS", "*"),)
    if isinstance(source, str):
        raise MalformedPolicyError(f"Principal {source!r} is neither * nor a map")
    return tuple((kind, value) for kind, values in source.items() for value in _strings(values))


def _strings(source: Any) -> tuple[str, ...]:
    if isinstance(source, str):
        return (source,)
    if isinstance(source, Sequence) and all(isinstance(s, str) for s in source):
        return tuple(source)
    raise MalformedPolicyError(f"expected a string or a list of strings, got {source!r}")
