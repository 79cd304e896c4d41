"""The names of evidence that templates may use: a closed set, each given by some rung or adapter."""

from __future__ import annotations

EVIDENCE = {
    # the caller
    "principal": "ARN of the role (or user) that AWS says we are, as policies name it",
    "role_arn": "ARN of the role that the pod asks for",
    "account": "account of that role",
    "partition": "AWS partition of that role: aws, aws-cn, aws-us-gov",
    "namespace": "namespace of the pod's ServiceAccount",
    "service_account": "the pod's ServiceAccount",
    "issuer": "who issued the pod's token, or signed the server's certificate",
    "issuer_host": "the token's issuer as IAM names it, without https://",
    "subject": "sub of the pod's web identity token",
    "audience": "aud of the pod's web identity token",
    "path": "file of a token or key",
    # where
    "service": "the dependency, as people call it",
    "setting": "variable that says where the dependency is",
    "usual_port": "port on which the dependency listens on AWS",
    "host": "host that was asked (the proxy's, where a proxy is the matter)",
    "port": "its port",
    "address": "address of the host that was tried",
    "target": "host:port behind the proxy",
    "region": "region that requests are signed for",
    "endpoint_region": "region that the endpoint's name says it is in",
    "signing_service": "aoss or es; none where requests are not signed",
    # what
    "variable": "environment variable (or field) that is the matter",
    "detail": "what was seen, in a few words of ours",
    "cause": "which of the causes that share a reason it was",
    "limit": "seconds that were waited",
    "untrusted": "host:port whose certificate is not trusted",
    "status": "HTTP status",
    "sqlstate": "PostgreSQL's error code",
    "sequence": "sequence of the table's ids",
    "expires": "end of a certificate",
    "names": "names that a certificate is for",
    "protocol": "KAFKA_SECURITY_PROTOCOL",
    "broker": "host:port of a broker",
    "topic": "topic, or what else cannot do without the broker",
    "topic_arn": "its ARN",
    "topic_partition": "number of a partition of it",
    "group": "consumer group",
    "group_arn": "ARN of all groups that the operator makes",
    "cluster_arn": "ARN of the MSK cluster",
    "codec": "compression of a batch",
    "index": "index",
    "collection": "name of the collection",
    "collection_arn": "ARN of the collection (or domain)",
    "permission": "permission of a data access policy, or action of a domain or of STS",
    "model": "embedding model",
    "dimensions": "length of vectors that came",
    "expected_dimensions": "length of vectors that was wanted",
    "database": "database",
    "user": "its user",
    "dbuser_arn": "ARN that rds-db:connect must name",
}
"""Name -> meaning."""

_PLACEHOLDERS = {
    "partition": "aws",
    "audience": "sts.amazonaws.com",
    "principal": "<role ARN of the operator>",
    "role_arn": "<role ARN of the operator>",
    "cluster_arn": "arn:aws:kafka:<region>:<account>:cluster/<cluster name>/<cluster uuid>",
    "collection_arn": "arn:aws:aoss:<region>:<account>:collection/<collection id>",
    "dbuser_arn": "arn:aws:rds-db:<region>:<account>:dbuser:<resource id>/<user>",
    "target": "the endpoint",
}
"""Placeholders that a plain name would not explain."""


def placeholder(name: str) -> str:
    """What stands for evidence that is not known: a person can fill it in."""
    return _PLACEHOLDERS.get(name, f"<{name.replace('_', ' ')}>")
