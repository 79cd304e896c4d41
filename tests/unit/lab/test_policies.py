"""Rules of IAM policy evaluation as the lab enforces them."""

from __future__ import annotations

import pytest

from lab.iam import data_access
from lab.iam.policies import (
    Decision,
    MalformedPolicyError,
    evaluate,
    evaluate_trust,
    matches,
    parse,
    without_action,
)

TOPIC = "arn:aws:kafka:eu-west-2:111122223333:topic/demo/uuid/orders"


def decide(*statements: dict[str, object], action: str = "kafka-cluster:ReadData", **context: str) -> Decision:
    return evaluate({"p": parse({"Statement": list(statements)})}, action, TOPIC, context)


def allow(action: object = "kafka-cluster:ReadData", resource: object = TOPIC, **more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: object = "kafka-cluster:ReadData", resource: object = TOPIC, **more: object) -> dict[str, object]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def test_nothing_is_allowed_by_default() -> None:
    """No statement, no access; the reason names action and resource."""
    decision = decide()
    assert not decision.allowed
    assert not decision.explicit
    assert "kafka-cluster:ReadData" in decision.reason
    assert TOPIC in decision.reason


def test_a_matching_allow_allows() -> None:
    """Action and resource must both match one statement."""
    assert decide(allow()).allowed
    assert not decide(allow(action="kafka-cluster:WriteData")).allowed
    assert not decide(allow(resource=TOPIC + "2")).allowed


def test_actions_ignore_case_and_resources_do_not() -> None:
    """As in IAM."""
    assert decide(allow(action="KAFKA-CLUSTER:readdata")).allowed
    assert not decide(allow(resource=TOPIC.upper())).allowed


def test_an_explicit_deny_wins_wherever_it_stands() -> None:
    """Before or after the Allow, in the same policy or another one."""
    assert not decide(allow(), deny()).allowed
    assert decide(deny(), allow()).explicit
    both = {"a": parse({"Statement": [allow()]}), "b": parse({"Statement": [deny(action="*")]})}
    assert not evaluate(both, "kafka-cluster:ReadData", TOPIC, {}).allowed


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("*", "", True),
        ("topic/*/orders", "topic/demo/uuid/orders", True),
        ("orders?", "orders1", True),
        ("orders?", "orders", False),
        ("or.ers", "orders", False),
        ("[o]rders", "orders", False),
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "a1b2", False),
        ("line*", "line\nbreak", True),
    ],
)
def test_wildcards(pattern: str, value: str, expected: bool) -> None:
    """``*`` and ``?`` only; everything else is literal, and a pattern covers the whole value."""
    assert matches(pattern, value) is expected


def test_not_action_and_not_resource_are_complements() -> None:
    """NotAction/NotResource match what is not listed."""
    read_only = {"Effect": "Allow", "NotAction": "kafka-cluster:Write*", "NotResource": "*/payments"}
    assert decide(read_only).allowed
    assert not decide(read_only, action="kafka-cluster:WriteData").allowed
    policy = {"p": parse({"Statement": read_only})}
    assert not evaluate(policy, "kafka-cluster:ReadData", TOPIC.replace("orders", "payments"), {}).allowed


def test_conditions_compare_the_request() -> None:
    """All conditions of a statement must hold; one of several values is enough."""
    statement = allow(Condition={"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-west-2"]}})
    assert decide(statement, **{"aws:RequestedRegion": "eu-west-2"}).allowed
    assert not decide(statement, **{"aws:RequestedRegion": "us-east-1"}).allowed
    assert not decide(statement).allowed, "a key that the request lacks makes a positive condition false"


def test_a_negated_condition_holds_when_the_key_is_absent() -> None:
    """As in IAM: StringNotEquals is the complement of StringEquals."""
    statement = allow(Condition={"StringNotEquals": {"aws:PrincipalArn": "arn:x"}})
    assert decide(statement).allowed
    assert not decide(statement, **{"aws:PrincipalArn": "arn:x"}).allowed


@pytest.mark.parametrize(
    "unsupported",
    [
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Condition": {"StringEquals": {"aws:PrincipalArn": "${aws:username}"}}},
    ],
)
def test_what_is_not_implemented_fails_closed(unsupported: dict[str, object]) -> None:
    """Such a statement never allows, and always denies."""
    assert not decide(allow(**unsupported)).allowed
    assert not decide(allow(), deny(**unsupported)).allowed


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Permit", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Resource": "*"},
        {"Effect": "Allow", "Action": "*"},
        {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": 7, "Resource": "*"},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Resources": "*"},
    ],
)
def test_malformed_statements_are_refused(statement: dict[str, object]) -> None:
    """A misspelt element must not silently widen or narrow a policy."""
    with pytest.raises(MalformedPolicyError):
        parse({"Statement": [statement]})


def test_a_trust_policy_needs_principal_action_and_conditions() -> None:
    """All three must match."""
    policy = parse(
        {
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Federated": "arn:provider"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {"iss:sub": "system:serviceaccount:a:b", "iss:aud": "sts"}},
            }
        }
    )
    context = {"iss:sub": "system:serviceaccount:a:b", "iss:aud": ("other", "sts")}
    action = "sts:AssumeRoleWithWebIdentity"
    assert evaluate_trust(policy, "Federated", "arn:provider", action, context).allowed
    assert not evaluate_trust(policy, "Federated", "arn:other", action, context).allowed
    assert not evaluate_trust(policy, "Service", "arn:provider", action, context).allowed
    assert not evaluate_trust(policy, "Federated", "arn:provider", "sts:AssumeRole", context).allowed
    stranger = {**context, "iss:sub": "system:serviceaccount:a:c"}
    assert not evaluate_trust(policy, "Federated", "arn:provider", action, stranger).allowed


def test_without_action_takes_one_action_away_and_leaves_the_rest() -> None:
    """The faults' way of forgetting a permission; Deny statements stay."""
    document = {
        "Version": "2012-10-17",
        "Statement": [
            allow(action=["kafka-cluster:ReadData", "kafka-cluster:DescribeTopic"]),
            allow(action="kafka-cluster:readdata"),
            deny(),
        ],
    }
    reduced = without_action(document, "kafka-cluster:ReadData")
    assert reduced["Statement"] == [allow(action=["kafka-cluster:DescribeTopic"]), deny()]


def test_data_access_needs_principal_permission_and_resource_of_one_grant() -> None:
    """Two half-matching grants do not add up."""
    grants = data_access.parse(
        [
            {
                "Rules": [
                    {"ResourceType": "index", "Resource": ["index/demo/a*"], "Permission": ["aoss:WriteDocument"]}
                ],
                "Principal": ["arn:aws:iam::111122223333:role/r"],
            },
            {
                "Rules": [{"ResourceType": "index", "Resource": ["index/demo/*"], "Permission": ["aoss:*"]}],
                "Principal": ["arn:aws:iam::111122223333:role/other"],
            },
        ]
    )
    me = ["arn:aws:sts::111122223333:assumed-role/r/s", "arn:aws:iam::111122223333:role/r"]
    assert data_access.allows(grants, me, "aoss:WriteDocument", "index/demo/abc")
    assert not data_access.allows(grants, me, "aoss:ReadDocument", "index/demo/abc")
    assert not data_access.allows(grants, me, "aoss:WriteDocument", "index/demo/xyz")
    assert not data_access.allows(grants, me[:1], "aoss:WriteDocument", "index/demo/abc")
