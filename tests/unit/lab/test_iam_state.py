"""Rules of the account's state: merging, validation, persistence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab import world
from lab.iam import credentials, defaults
from lab.iam.control import policies_without
from lab.iam.state import MalformedStateError, merge, read
from lab.iam.store import Store


def test_merge_is_json_merge_patch() -> None:
    """Objects merge, null removes, everything else replaces (RFC 7396); the target stays as it is."""
    target = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(target, {"a": {"c": [3], "b": None}, "e": {"f": None, "g": 1}}) == {
        "a": {"c": [3]},
        "d": 1,
        "e": {"g": 1},
    }
    assert target == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ({"faults": {"clock_skew": 5}}, "unknown clock_skew"),
        ({"role": {}}, "unknown role"),
        ({"roles": {"r": {"trust": {"Statement": []}, "policy": {}}}}, "unknown policy"),
        ({"roles": {"r": {"trust": {}, "policies": {}}}}, "MalformedPolicyDocument"),
        ({"roles": {"r": {"policies": {}}}}, "trust"),
    ],
)
def test_a_misspelt_or_malformed_state_is_refused(patch: dict[str, object], text: str) -> None:
    """A fault that silently does nothing would make a test pass for the wrong reason."""
    with pytest.raises(MalformedStateError, match=text):
        read(merge(defaults.document(), patch))


def test_a_refused_change_changes_nothing(tmp_path: Path) -> None:
    """The last good state stays."""
    store = Store(tmp_path / "state.json")
    with pytest.raises(MalformedStateError):
        store.patch({"faults": {"nonsense": 1}})
    assert store.document == defaults.document()


def test_state_and_credentials_survive_a_restart(tmp_path: Path) -> None:
    """Clients keep working when lab-iam is restarted."""
    store = Store(tmp_path / "state.json")
    store.patch({"faults": {"clock_skew_seconds": 600}, "roles": {"lab-admin": None}})
    issued = credentials.assume_role(world.ROLE_NAME, "s", expires=time.time() + 3600)
    store.remember(issued)
    again = Store(tmp_path / "state.json")
    assert again.credentials(issued.access_key) == issued
    assert again.state.faults.clock_skew_seconds == 600
    assert "lab-admin" not in again.state.roles
    again.reset()
    assert again.document == defaults.document()
    assert again.credentials(issued.access_key) == issued


def test_the_state_file_is_private(tmp_path: Path) -> None:
    """It holds secret keys, if only the lab's."""
    store = Store(tmp_path / "state.json")
    store.reset()
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0


def test_expired_credentials_are_remembered_as_expired(tmp_path: Path) -> None:
    """Their use must read as expired, not as unknown, until long after."""
    store = Store(tmp_path / "state.json")
    old = credentials.assume_role(world.ROLE_NAME, "old", expires=time.time() - 2 * 24 * 3600)
    recent = credentials.assume_role(world.ROLE_NAME, "recent", expires=time.time() - 60)
    fresh = credentials.assume_role(world.ROLE_NAME, "fresh", expires=time.time() + 60)
    for issued in (old, recent, fresh):
        store.remember(issued)
    store.remember(recent)
    assert store.credentials(old.access_key) is None
    assert store.credentials(recent.access_key) == recent
    assert store.expire_issued() == 1
    ended = store.credentials(fresh.access_key)
    assert ended is not None
    assert ended.expires is not None
    assert ended.expires <= store.now()


def test_a_users_key_is_known_and_never_expires(tmp_path: Path) -> None:
    """Long-term keys, as in an operator that was given AWS_ACCESS_KEY_ID."""
    store = Store(tmp_path / "state.json")
    store.patch(
        {"users": {"ci": {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "s" * 40, "policies": {}}}},
    )
    found = store.credentials("AKIAEXAMPLE")
    assert found is not None
    assert found.principal == f"arn:aws:iam::{world.ACCOUNT}:user/ci"
    assert found.expires is None


def test_temporary_credentials_look_like_aws() -> None:
    """Shapes and lengths that parsers, columns and headers meet in production."""
    issued = credentials.assume_role(world.ROLE_NAME, "operator", expires=0)
    assert issued.access_key.startswith("ASIA")
    assert len(issued.access_key) == 20
    assert len(issued.secret) == 40
    assert issued.session_token.startswith("IQoJb3JpZ2luX2Vj")
    assert 1000 <= len(issued.session_token) <= 1100
    assert issued.user_id.startswith("AROA")
    assert issued.user_id.endswith(":operator")


def test_permissions_are_taken_away_by_action() -> None:
    """The patch touches the named role's policies and nothing else."""
    document = defaults.document()
    policies = policies_without(document, world.ROLE_NAME, "kafka-cluster:ReadData", "rds-db:connect")
    patched = read(merge(document, {"roles": {world.ROLE_NAME: {"policies": policies}}}))
    actions = {a for p in patched.roles[world.ROLE_NAME].policies.values() for s in p for a in s.actions}
    assert "kafka-cluster:DescribeTopic" in actions
    assert not actions & {"kafka-cluster:ReadData", "rds-db:connect"}
    assert patched.roles["lab-admin"] == read(document).roles["lab-admin"]
