"""Change and question the running lab-iam from tests, faults and other parts (blocking, loopback HTTP)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab import administration, world
from lab.iam.policies import without_action


@dataclass(frozen=True)
class Issued:
    """Temporary credentials of a role's session, in the words of the AWS SDKs. ``expires``: epoch seconds."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    principal: str
    expires: float


def request(method: str, path: str, body: Any = None) -> Any:
    """One call of the administration endpoint. Raises `administration.RefusedError`."""
    return administration.call(world.LAB_IAM_ADMIN, method, path, body)


def get_state() -> dict[str, Any]:
    """The account's state as JSON."""
    state: dict[str, Any] = request("GET", "/state")
    return state


def patch_state(patch: dict[str, Any]) -> None:
    """Merge into the state (JSON Merge Patch: None removes). It acts at once."""
    request("PATCH", "/state", patch)


def reset() -> None:
    """Back to the state that `lab up` made."""
    request("POST", "/reset")


def log() -> list[dict[str, Any]]:
    """The last refusals with their true reasons, newest last."""
    entries: list[dict[str, Any]] = request("GET", "/log")
    return entries


def counters() -> dict[str, int]:
    """Since the start: STS's actions by name, and logins and requests verified for servers (msk, rds, aoss)."""
    counted: dict[str, int] = request("GET", "/counters")
    return counted


def issue(role: str = world.ROLE_NAME, *, session: str = "test", seconds: float = 3600) -> Issued:
    """Credentials of a role without a web identity token; ``seconds`` may be negative: expired already."""
    return Issued(**request("POST", "/credentials", {"role": role, "session": session, "seconds": seconds}))


def expire_issued_credentials() -> None:
    """End all temporary credentials that were issued so far."""
    request("POST", "/credentials/expire")


@contextmanager
def changed(patch: dict[str, Any]) -> Iterator[None]:
    """The state with the patch, for the duration of a ``with`` block."""
    before = get_state()
    patch_state(patch)
    try:
        yield
    finally:
        request("PUT", "/state", before)


@contextmanager
def without(*actions: str, role: str = world.ROLE_NAME) -> Iterator[None]:
    """The role without these actions (``kafka-cluster:ReadData``), for the duration of a ``with`` block."""
    with changed({"roles": {role: {"policies": policies_without(get_state(), role, *actions)}}}):
        yield


def policies_without(state: dict[str, Any], role: str, *actions: str) -> dict[str, Any]:
    """A patch of the role's policies that takes the actions away."""
    policies: dict[str, Any] = state["roles"][role]["policies"]
    for action in actions:
        policies = {name: without_action(document, action) for name, document in policies.items()}
    return policies
