"""The facts of the lab's world: names, addresses, identities. Data only; everything else imports it.

Every server has an AWS-shaped name, an own address in 127.0.0.0/8 (all of it is the loopback) and the
port that the real service has, so the operator's environment in the lab is the production one, word for word.
"""

from __future__ import annotations

REGION = "eu-west-2"
ACCOUNT = "111122223333"

# ── addresses and names ──────────────────────────────────────────────────────────────────────────────
DNS_ADDRESS = "127.77.0.53"
"""The lab's resolver (dnsmasq), port 53. Unknown names are NXDOMAIN."""

BROKERS = {
    1: ("b-1.demo.a1b2c3.c2.kafka.eu-west-2.amazonaws.com", "127.77.0.11"),
    2: ("b-2.demo.a1b2c3.c2.kafka.eu-west-2.amazonaws.com", "127.77.0.12"),
}
"""Broker id -> (name, address). Ports as on MSK: 9092 plaintext, 9094 TLS, 9096 SCRAM, 9098 IAM."""

STS = (f"sts.{REGION}.amazonaws.com", "127.77.0.20")  # 443
SECRETS_MANAGER = (f"secretsmanager.{REGION}.amazonaws.com", "127.77.0.21")  # 443
OPENSEARCH = (f"x1y2z3a4b5c6d7e8f9g0.{REGION}.aoss.amazonaws.com", "127.77.0.30")  # 443, the gateway
POSTGRESQL = (f"demo.c9d8e7f6a5b4.{REGION}.rds.amazonaws.com", "127.77.0.40")  # 5432
PROXY = ("proxy.example.com", "127.77.0.70")  # ports of its manners: `lab.proxy`
OPENAI = ("api.openai.com", "127.77.0.50")  # 443

LAB_IAM_ADMIN = ("127.77.0.20", 8081)
"""Plain HTTP, loopback only: `/verify`, `/authorize` for the servers, `/state` for faults and tests."""

OPENSEARCH_BACKEND = ("127.77.0.31", 9200)
"""The real OpenSearch behind the gateway: no lock of its own, tests may look into it directly."""

OPENSEARCH_ADMIN = ("127.77.0.30", 8081)
"""Gateway's own admin endpoint (injected answers)."""

OPENAI_ADMIN = ("127.77.0.50", 8081)
"""Embedding server's admin endpoint (injected answers, request counters)."""

KUBERNETES_API = ("127.96.0.1", 443)
"""The API server listens on the ClusterIP of the Service `kubernetes` itself."""

NODE = "127.77.0.60"
"""The cluster's node: its name and address, and the address of every Pod, since Pods have the host's network."""

KUBERNETES_ISSUER = "https://127.96.0.1:443"


def names() -> dict[str, str]:
    """Every name that the lab's resolver answers -> its address."""
    pairs = [*BROKERS.values(), STS, SECRETS_MANAGER, OPENSEARCH, POSTGRESQL, OPENAI, PROXY]
    return dict(pairs)


# ── AWS ──────────────────────────────────────────────────────────────────────────────────────────────
ROLE_NAME = "connectivity-test"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE_NAME}"
CLUSTER_UUID = "0d9c8b7a-6f5e-4d3c-2b1a-998877665544-2"
CLUSTER_ARN = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/demo/{CLUSTER_UUID}"
COLLECTION_ID = "x1y2z3a4b5c6d7e8f9g0"
COLLECTION_NAME = "demo"
COLLECTION_ARN = f"arn:aws:aoss:{REGION}:{ACCOUNT}:collection/{COLLECTION_ID}"
DB_RESOURCE_ID = "db-ABCDEFGHIJKL0123456789MNOP"
DB_NAME = "connectivity"
DB_USER = "connectivity_test"
DB_MASTER = "postgres"
OPENAI_SECRET_NAME = "connectivity-test/openai"

# ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────────
OPERATOR_NAMESPACE = "connectivity"
OPERATOR_SERVICE_ACCOUNT = "operator"
"""Of the operator as a process: the lab makes it."""

CHART_SERVICE_ACCOUNT = "connectivity-operator"
"""Of the operator as a Pod: the chart makes it. Both have the same role."""

TOKEN_AUDIENCE = "sts.amazonaws.com"

# ── Kafka topics that `lab up` makes ─────────────────────────────────────────────────────────────────
TOPICS = {"orders": 3, "payments": 2, "connectivity-test": 2}
"""Topic -> partitions. MSK does not create topics by itself, nor does the lab."""
