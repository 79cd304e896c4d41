"""To where the Pods must be let through: one row for each server and port, which security groups must open."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectivity_operator.diagnosis.proxy import proxy_for
from connectivity_operator.permissions.principal import Principal
from connectivity_operator.settings import Settings

_KAFKA_PORTS = {"SASL_SSL": 9098, "SSL": 9094, "PLAINTEXT": 9092}


@dataclass(frozen=True, slots=True)
class Connection:
    """From the Pods, and the answers back."""

    protocol: str
    """``tcp``, or ``tcp+udp``."""
    port: int
    service: str
    to: str
    security_group: str | None = None
    """Placeholder of the group that must let the Pods in; None: no security group of AWS's stands before it."""


def connections(settings: Settings, principal: Principal, *, iam: bool) -> tuple[Connection, ...]:
    """All that is connected to. ``iam``: some service is used with IAM, so STS is asked for credentials."""
    direct = (
        *_kafka(settings),
        Connection(
            "tcp",
            settings.postgres_port,
            "PostgreSQL",
            settings.postgres_host or "<database's host>",
            "<security group of the database>",
        ),
    )
    urls = [
        (
            settings.opensearch_endpoint or "https://<collection endpoint>",
            "OpenSearch",
            "<security group of the collection's VPC endpoint>",
        ),
        (settings.openai_base_url, "OpenAI", None),
    ]
    if iam:
        end = "amazonaws.com.cn" if principal.partition == "aws-cn" else "amazonaws.com"
        url = f"https://sts.{principal.region}.{end}"
        urls.append((url, "STS", "<security group of the VPC endpoint of STS>"))
    https = [_https(settings, url, service, group) for url, service, group in urls]
    cluster = (
        Connection("tcp+udp", 53, "DNS", "the cluster's resolver"),
        Connection("tcp", 443, "Kubernetes", "the API server (the operator, not `check`)"),
    )
    return tuple(dict.fromkeys((*direct, *https, *cluster)))


def _kafka(settings: Settings) -> list[Connection]:
    ports = {int(server.rpartition(":")[2]) for server in settings.kafka_bootstrap_servers}
    return [
        Connection(
            "tcp", port, "Kafka", "every broker, not the bootstrap servers alone", "<security group of the brokers>"
        )
        for port in sorted(ports or {_KAFKA_PORTS[settings.kafka_security_protocol]})
    ]  # fmt: skip


def _https(settings: Settings, url: str, service: str, group: str | None) -> Connection:
    split = urlsplit(url)
    host, port = split.hostname or "", split.port or (443 if split.scheme == "https" else 80)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # only carried along, nothing is connected to
    proxy = proxy_for(host, port, https_proxy=settings.https_proxy, no_proxy=settings.no_proxy, context=context)
    if proxy:
        return Connection("tcp", proxy.port, "HTTPS_PROXY", proxy.host)
    return Connection("tcp", port, service, host, group)
