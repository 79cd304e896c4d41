"""What the policy allows, how it refuses, and what a broken file does."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from connectivity_operator.errors import NotAllowed, PolicyError
from connectivity_operator.policy import Policy, PolicyFile
from connectivity_operator.resource import ResourceSpec

ROOT = Path(__file__).parents[2]
PATH = Path("/etc/connectivity/policy.yaml")
TEXT = """
rules:
  - {namespaces: [$OPERATOR_NAMESPACE], topics: ["*"], indices: ["*"], models: ["*"], allowEarliest: true}
  - namespaces: ["search", "search-*"]
    topics: ["search.*"]
    indices: ["connectivity-test-search*"]
    models: ["text-embedding-3-small"]
    maxMessagesPerMinute: 60
"""


def spec(**changes: object) -> ResourceSpec:
    values: dict[str, object] = {"topics": frozenset({"search.orders"}), "index": "connectivity-test-search"}
    return ResourceSpec(**(values | changes))  # type: ignore[arg-type]


def refusal(namespace: str, asked: ResourceSpec, policy: Policy | None = None) -> str:
    with pytest.raises(NotAllowed) as raised:
        (policy or Policy.parse(TEXT, PATH, "connectivity")).check(namespace, asked)
    return str(raised.value)


def test_what_the_rule_allows_passes() -> None:
    """Topics, index and model match; the operator's default model (none named) always does."""
    policy = Policy.parse(TEXT, PATH, "connectivity")
    policy.check("search", spec())
    policy.check("search-staging", spec(model="text-embedding-3-small"))


def test_the_first_matching_rule_applies() -> None:
    """Later rules are not consulted, neither to allow nor to refuse."""
    policy = Policy.parse(TEXT.replace('"search", ', '"search", "connectivity", '), PATH, "connectivity")
    policy.check("connectivity", spec(topics=frozenset({"anything"}), index="anything", model="x"))


def test_the_operators_own_namespace_is_named_by_a_variable() -> None:
    """One policy for every release: `$OPERATOR_NAMESPACE` is wherever the operator runs."""
    Policy.parse(TEXT, PATH, "elsewhere").check("elsewhere", spec(topics=frozenset({"anything"})))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (spec(topics=frozenset({"payments", "search.a"})), "spec.topics: payments (allowed: search.*)"),
        (spec(index="production"), "spec.index: production (allowed: connectivity-test-search*)"),
        (spec(model="gpt"), "spec.model: gpt (allowed: text-embedding-3-small)"),
        (spec(start_from="Earliest"), "spec.startFrom: Earliest (allowEarliest is false)"),
        (spec(topics=frozenset({"Search.a"})), "spec.topics: Search.a"),
    ],
)
def test_a_refusal_names_field_rule_and_file(asked: ResourceSpec, said: str) -> None:
    """The author learns what is refused and what would be allowed, and who can change that."""
    text = refusal("search", asked)
    assert said in text
    assert "Rule 2 of the policy (namespaces search, search-*)" in text
    assert f"change rule 2 in {PATH} (a ConfigMap of the operator in namespace connectivity)" in text


def test_a_refusal_names_every_field_at_once() -> None:
    """One edit, not one after the other."""
    text = refusal("search", spec(topics=frozenset({"a"}), index="b", model="c", start_from="Earliest"))
    assert all(field in text for field in ("spec.topics", "spec.index", "spec.model", "spec.startFrom"))


def test_a_refusal_fits_into_a_condition() -> None:
    """512 characters, however many topics and patterns there are."""
    patterns = ", ".join(f'"team-{n}.*"' for n in range(100))
    policy = Policy.parse(TEXT.replace('"search.*"', patterns), PATH, "connectivity")
    text = refusal("search", spec(topics=frozenset(f"topic-{n}" for n in range(16))), policy)
    assert len(text) <= 512
    assert "and 11 more" in text
    assert "and 95 more" in text


def test_a_namespace_without_rule_may_use_nothing() -> None:
    """What nobody has allowed is not allowed."""
    assert "No rule of the policy applies to namespace billing" in refusal("billing", spec())


@pytest.mark.parametrize("policy", [Policy.unrestricted(), Policy.parse(TEXT, PATH, "search")])
def test_internal_topics_are_never_allowed(policy: Policy) -> None:
    """`*` does not mean Kafka's own topics, with or without a file."""
    text = refusal("search", spec(topics=frozenset({"__consumer_offsets"})), policy)
    assert "__consumer_offsets (internal topics are never allowed)" in text


def test_without_a_file_nothing_else_is_restricted() -> None:
    """A laptop needs no policy."""
    policy = PolicyFile(None, "default").current
    policy.check("any", spec(topics=frozenset({"any"}), index="any", model="any", start_from="Earliest"))
    assert policy.max_messages_per_minute("any") is None


def test_the_rate_is_the_matching_rules() -> None:
    """Absent: no limit."""
    policy = Policy.parse(TEXT, PATH, "connectivity")
    assert policy.max_messages_per_minute("search") == 60
    assert policy.max_messages_per_minute("connectivity") is None


RULE = "namespaces: ['*'], topics: ['*'], indices: ['*'], models: ['*']"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [", "line 1, column 9: is no YAML"),
        ("rules: {a: b}", "rules is not a list"),
        ("", "the file is not a mapping"),
        ("{}", "rules is missing"),
        ("rules: [{topics: ['*'], indices: ['*'], models: ['*']}]", "rules[0].namespaces is missing"),
        ("rules: [{namespaces: ['*'], topics: ['*'], indices: ['*']}]", "rules[0].models is missing"),
        (f"rules: [{{{RULE}, alowEarliest: true}}]", "rules[0].alowEarliest is unknown"),
        (f"rules: [{{{RULE}, maxMessagesPerMinute: 0}}]", "rules[0].maxMessagesPerMinute"),
        (f"rules: [{{{RULE}}}, {{{RULE}, topics: [1]}}]", "rules[1].topics[0] is not a text"),
        ("rules: [{namespaces: [], topics: ['*'], indices: ['*'], models: ['*']}]", "rules[0].namespaces"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(text: str, said: str) -> None:
    """A policy that is not what its author meant must not be half applied."""
    with pytest.raises(PolicyError) as raised:
        Policy.parse(text, PATH, "connectivity")
    assert said in str(raised.value)
    assert str(PATH) in str(raised.value)


def test_an_unreadable_file_is_refused_at_the_start(tmp_path: Path) -> None:
    """A directory in its place, for example."""
    with pytest.raises(PolicyError, match=r"cannot be read \(Is a directory\)"):
        PolicyFile(tmp_path, "connectivity")


def test_while_there_is_no_file_nothing_is_allowed(tmp_path: Path) -> None:
    """The Pod starts without its ConfigMap; the refusal names what is missing, and the file counts once it is there."""
    path = tmp_path / "connectivity-operator-policy/policy.yaml"
    file = PolicyFile(path, "connectivity")
    for namespace in ("connectivity", "search"):
        said = refusal(namespace, spec(), file.current)
        assert f"{path} (a ConfigMap of the operator in namespace connectivity) is missing" in said
    with capture_logs() as logged:
        assert file.refresh() is False
    assert logged == []
    path.parent.mkdir()
    path.write_text(TEXT)
    assert file.refresh() is True
    file.current.check("search", spec())


def test_who_asks_for_the_policy_alone_is_told_that_there_is_no_file(tmp_path: Path) -> None:
    """`permissions` would otherwise print privileges for nothing."""
    with pytest.raises(PolicyError, match="does not exist; mount the file or correct the path"):
        Policy.load(tmp_path / "policy.yaml", "connectivity")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """`refresh` says whether another policy is in force."""
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT)
    file = PolicyFile(path, "connectivity")
    assert file.refresh() is False
    path.write_text(TEXT.replace("search.*", "*"))
    assert file.refresh() is True
    file.current.check("search", spec(topics=frozenset({"payments"})))
    assert file.refresh() is False


@pytest.mark.parametrize("broken", ["rules: [", "rules: []\nextra: 1", None])
def test_a_file_that_breaks_later_changes_nothing(tmp_path: Path, broken: str | None) -> None:
    """The last good policy stays in force, an error is logged, and the repaired file counts again."""
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT)
    file = PolicyFile(path, "connectivity")
    good = file.current
    path.write_text(broken) if broken else path.unlink()
    with capture_logs() as logged:
        assert file.refresh() is file.refresh() is False  # the second time it is no news
    assert file.current is good
    assert [line["log_level"] for line in logged] == ["error"]
    path.write_text(TEXT.replace("60", "61"))
    assert file.refresh() is True
    assert file.current.max_messages_per_minute("search") == 61


def test_the_sample_and_the_documentation_are_valid() -> None:
    """What people copy works."""
    documented = (ROOT / "docs/policy.md").read_text().split("```yaml\n")[1].split("```")[0]
    for text in ((ROOT / "samples/policy.yaml").read_text(), documented):
        policy = Policy.parse(text, PATH, "connectivity")
        asked = spec(topics=frozenset({"orders"}), index="connectivity-test")
        policy.check("connectivity", asked)
        assert "spec.topics: orders" in refusal("billing", asked, policy)
