"""The operator's environment: what is accepted, what is refused and how it is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from connectivity_operator.errors import SettingsError
from connectivity_operator.settings import Settings

ENV_EXAMPLE = Path(__file__).parents[2] / ".env.example"
CANARY = "canary-5ecret"


def problems(environ: dict[str, str]) -> dict[str, str]:
    """Variable -> what is said of it."""
    with pytest.raises(SettingsError) as raised:
        Settings.load(environ)
    return dict(raised.value.problems)


def test_nothing_set_is_a_valid_environment() -> None:
    """A missing dependency is a diagnosis (`NotConfigured`), not a reason not to start."""
    settings = Settings.load({})
    assert settings.kafka_bootstrap_servers == ()
    assert (settings.postgres_host, settings.opensearch_endpoint, settings.openai_api_key) == (None, None, None)
    assert settings.postgresql_use_iam_auth is True
    assert (settings.metrics_port, settings.health_port, settings.postgres_port) == (9090, 8080, 5432)


def test_an_empty_variable_is_an_absent_one() -> None:
    """Helm renders absent values as empty strings; they mean the default."""
    assert Settings.load(dict.fromkeys(Settings.variables(), "")) == Settings.load({})
    assert Settings.load({"METRICS_PORT": " ", "OPENAI_API_KEY": "\n"}) == Settings.load({})


def test_values_are_read_and_normalised() -> None:
    """Lists, flags, numbers and choices come out typed, without blanks, endpoints without a slash at their end."""
    settings = Settings.load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": " b-1.example:9098 , b-2.example:9098,",
            "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
            "POSTGRESQL_USE_IAM_AUTH": "false",
            "OPENSEARCH_ENDPOINT": "https://X1.eu-west-2.aoss.amazonaws.com/",
            "OPENAI_BASE_URL": "http://models.example:8000/v1/",
            "WATCH_NAMESPACES": "search, search-staging",
            "METRICS_PORT": "0",
            "LOG_LEVEL": "debug",
            "HTTPS_PROXY": "proxy.example:3128",
        }
    )
    assert settings.kafka_bootstrap_servers == ("b-1.example:9098", "b-2.example:9098")
    assert settings.kafka_security_protocol == "SASL_SSL"
    assert settings.postgresql_use_iam_auth is False
    assert settings.opensearch_endpoint == "https://x1.eu-west-2.aoss.amazonaws.com"
    assert settings.openai_base_url == "http://models.example:8000/v1"
    assert settings.watch_namespaces == ("search", "search-staging")
    assert settings.metrics_port == 0
    assert settings.log_level == "DEBUG"
    assert settings.https_proxy == "http://proxy.example:3128"


def test_unknown_variables_are_other_peoples() -> None:
    """A Pod's environment is full of variables that are none of ours."""
    assert Settings.load({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"}) == Settings.load({})


def test_both_spellings_of_proxy_variables_are_read() -> None:
    """`https_proxy` is as common as `HTTPS_PROXY`; the upper-case one wins where both are set."""
    assert Settings.load({"https_proxy": "http://a:1", "no_proxy": ".example"}).no_proxy == ".example"
    assert Settings.load({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}).https_proxy == "http://b:1"


def test_every_problem_is_reported_at_once() -> None:
    """One start, one list: nobody mends variables one restart at a time."""
    found = problems(
        {"KAFKA_BOOTSTRAP_SERVERS": "b-1", "POSTGRES_PORT": "x", "LOG_FORMAT": "xml", "AWS_REGION": "London"}
    )
    assert set(found) == {"KAFKA_BOOTSTRAP_SERVERS", "POSTGRES_PORT", "LOG_FORMAT", "AWS_REGION"}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "b-1.example:9098,b-2.example", "'b-2.example' has no port; write host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "https://b-1.example:9098", "is a URL; write host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "b-1.example:70000", "a port is a number from 1 to 65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "b-1.example:", "a port is a number from 1 to 65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "0.0.0.0:9098", "address to listen on"),
        ("KAFKA_BOOTSTRAP_SERVERS", "<broker>:9098", "is not a host name"),
        ("KAFKA_BOOTSTRAP_SERVERS", "::1:9098", "has no port"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT", "write one of SASL_SSL, SSL, PLAINTEXT"),
        ("KAFKA_MAX_POLL_INTERVAL_MS", "10", "number from 1000"),
        ("KAFKA_CLUSTER_ARN", "demo", "is not an MSK cluster's ARN"),
        ("POSTGRES_HOST", "db.example:5432", "has a port; write the host name alone"),
        ("POSTGRES_HOST", "postgresql://db.example/x", "is a URL"),
        ("POSTGRES_PORT", "0", "number from 1"),
        ("POSTGRES_PORT", "65536", "number up to 65535"),
        ("POSTGRES_PORT", "5432x", "not a whole number"),
        ("POSTGRESQL_USE_IAM_AUTH", "maybe", "write true or false"),
        ("POSTGRES_RESOURCE_ID", "demo", "is not a DbiResourceId"),
        ("OPENSEARCH_ENDPOINT", "x.eu-west-2.aoss.amazonaws.com", "does not begin with https://"),
        ("OPENSEARCH_ENDPOINT", "http://x.eu-west-2.aoss.amazonaws.com", "does not begin with https://"),
        ("OPENSEARCH_ENDPOINT", "https://x.aoss.amazonaws.com/_bulk", "without a path"),
        ("OPENSEARCH_ENDPOINT", "https://x.example:99999", "a port is a number"),
        ("OPENSEARCH_SERVICE", "opensearch", "write one of aoss, es"),
        ("OPENAI_BASE_URL", "api.openai.com", "does not begin with https:// or http://"),
        ("OPENAI_EMBEDDING_MODEL", "a model", "is not a model's name"),
        ("AWS_REGION", "eu-west-2a", "is not an AWS region"),
        ("AWS_REGION", '"eu-west-2"', "has quotes around it"),
        ("HTTPS_PROXY", "socks5://proxy:1080", "HTTP proxies only"),
        ("WATCH_NAMESPACES", "team-*", "is a pattern; name each namespace"),
        ("WATCH_NAMESPACES", "Team", "is not a name in Kubernetes"),
        ("WATCH_LABEL_SELECTOR", "a=b=c", "is no label selector"),
        ("METRICS_PORT", "-1", "number from 0"),
        ("LOG_LEVEL", "loud", "write one of DEBUG, INFO, WARNING, ERROR"),
        ("LOG_FORMAT", "text", "write one of json, console"),
        ("HEALTH_PORT", "9090", "is METRICS_PORT's too"),
    ],
)
def test_a_malformed_value_is_refused_with_the_fix(variable: str, value: str, said: str) -> None:
    """The text names the variable, what is wrong and what to write instead."""
    found = problems({variable: value})
    assert list(found) == [variable]
    assert said in found[variable]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "[2001:db8::1]:9098"),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        ("POSTGRES_HOST", "2001:db8::1"),
        ("AWS_REGION", "us-gov-west-1"),
        ("KAFKA_CLUSTER_ARN", "arn:aws-cn:kafka:cn-north-1:111122223333:cluster/demo/0d9c8b7a-2"),
        ("POSTGRES_RESOURCE_ID", "prx-0123456789abcdef0"),
        ("OPENAI_EMBEDDING_MODEL", "BAAI/bge-m3:latest"),
        ("WATCH_LABEL_SELECTOR", "app.example/team in (a, b),tier!=x,!paused,enabled"),
        ("HTTPS_PROXY", "http://user:word@[2001:db8::1]:3128"),
        ("EXTRA_CA_FILE", "/not/mounted/yet.pem"),
    ],
)
def test_unusual_but_right_values_are_accepted(variable: str, value: str) -> None:
    """Other partitions, IPv6, plaintext brokers, other people's models and files that come later are not malformed."""
    assert getattr(Settings.load({variable: value}), variable.lower()) not in (None, ())


def test_secrets_are_kept_as_they_came() -> None:
    """A line break at the end of a key is a finding of the diagnosis, so it must not be repaired here."""
    key = Settings.load({"OPENAI_API_KEY": "sk-x\n"}).openai_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-x\n"


def test_what_is_shown_holds_every_setting_and_no_secret() -> None:
    """The start log says whether a secret is set, never what it is; nor does the value's own repr."""
    settings = Settings.load(
        {
            "OPENAI_API_KEY": f"sk-{CANARY}",
            "POSTGRES_PASSWORD": CANARY,
            "HTTPS_PROXY": f"http://user:{CANARY}@proxy.example:3128",
            "EXTRA_CA_FILE": "",
        }
    )
    shown = settings.visible()
    assert {name.upper() for name in shown} == set(Settings.variables())
    assert CANARY not in json.dumps(shown)
    assert shown["openai_api_key"] == shown["postgres_password"] == "(set)"
    assert shown["https_proxy"] == "http://proxy.example:3128"
    assert CANARY not in repr(settings)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "OPENSEARCH_ENDPOINT", "OPENAI_BASE_URL", "POSTGRES_HOST"])
@pytest.mark.parametrize("url", ["https://user:{0}@h st/", "https://user:{0}@host/x?y=z", "ftp://user:{0}@host:x"])
def test_a_refused_url_never_shows_its_password(variable: str, url: str) -> None:
    """Problems go to the log of a Pod that does not start: a password in a URL must not go with them."""
    assert CANARY not in problems({variable: url.format(CANARY)})[variable]


def test_settings_do_not_change() -> None:
    """One frozen value for the life of the process."""
    with pytest.raises(ValueError, match="frozen"):
        Settings.load({}).log_level = "DEBUG"


class TestEnvExample:
    """`.env.example` is the settings' reference."""

    LINE = re.compile(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$")

    def entries(self) -> list[tuple[str, str, str, str]]:
        """(comment above, ``#`` or empty, variable, value); neighbours share a comment."""
        found: list[tuple[str, str, str, str]] = []
        comment = ""
        for line in ENV_EXAMPLE.read_text().splitlines():
            if entry := self.LINE.match(line):
                found.append((comment, entry[1], entry[2], entry[3]))
            else:
                comment = line if line.startswith("# ") else ""
        return found

    def test_it_lists_every_variable_once_with_a_comment(self) -> None:
        """Neither more nor fewer than `Settings` reads, each explained."""
        entries = self.entries()
        assert sorted(variable for _, _, variable, _ in entries) == sorted(Settings.variables())
        assert [variable for comment, _, variable, _ in entries if not comment] == []

    def test_what_is_not_commented_out_is_a_valid_environment(self) -> None:
        """Copied as it is, it configures everything but the secrets."""
        settings = Settings.load({v: value for _, off, v, value in self.entries() if not off})
        assert settings.kafka_bootstrap_servers
        assert settings.postgres_host
        assert settings.opensearch_endpoint

    def test_commented_values_are_the_defaults_unless_called_examples(self) -> None:
        """A reader must be able to believe the value behind the `#`."""
        for comment, off, variable, value in self.entries():
            if off and "xample." not in comment and not comment.startswith("# Secret"):
                assert Settings.load({variable: value}) == Settings.load({}), variable

    def test_examples_are_valid(self) -> None:
        """Uncommented, an example passes."""
        for _, _, variable, value in self.entries():
            Settings.load({variable: value})
