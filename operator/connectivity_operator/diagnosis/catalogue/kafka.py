"""Reasons of Kafka on MSK: login, rights to topics and groups, brokers that cannot be reached."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import EVERYTHING, Entry, Healer, Variant
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

_SECURITY_GROUP = (
    "aws ec2 authorize-security-group-ingress --group-id <security group of the brokers> --protocol tcp --port {port} "
    "--source-group <security group of the pod or node>"
)

ENTRIES = (
    Entry(
        Reason.WRONG_LISTENER, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "{host}:{port} is a Kafka listener, but not the one for IAM.",
        "Set KAFKA_BOOTSTRAP_SERVERS to what this prints (port 9098; from outside the VPC 9198, "
        "BootstrapBrokerStringPublicSaslIam): aws kafka get-bootstrap-brokers --cluster-arn {cluster_arn} "
        "--query BootstrapBrokerStringSaslIam --output text",
        (
            Variant(
                "protocol", ("SSL", "PLAINTEXT"),
                message="{host}:{port} is a Kafka listener, but not one for KAFKA_SECURITY_PROTOCOL={protocol}: it "
                "wants TLS or a login.",
                remedy="Set KAFKA_SECURITY_PROTOCOL to what that listener speaks (MSK with IAM: SASL_SSL, port 9098), "
                "or KAFKA_BOOTSTRAP_SERVERS to a listener for {protocol}.",
            ),
        ),
    ),
    Entry(
        Reason.CLUSTER_ACCESS_DENIED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "The broker refuses the login of {principal}: Access denied. From here that is one of: no "
        "kafka-cluster:Connect on the cluster, an explicit deny, or a cluster in another region than {region}, for "
        "which logins are signed (the broker's name does not tell its region).",
        "Allow kafka-cluster:Connect on {cluster_arn} for {principal}; check that AWS_REGION ({region}) is the region "
        f"of the cluster, and that no policy, permissions boundary or SCP denies it.{EVERYTHING}",
        (
            Variant(
                "endpoint_region",
                message="The broker refuses the login of {principal}: Access denied. The region of the signature "
                "({region}) is the broker's, so what is left is: no kafka-cluster:Connect on the cluster, or an "
                "explicit deny.",
                remedy="Allow kafka-cluster:Connect on {cluster_arn} for {principal}; if that is allowed, look for a "
                f"deny in its policies, its permissions boundary, SCPs and the cluster's own policy.{EVERYTHING}",
            ),
        ),
    ),
    Entry(
        Reason.CREDENTIALS_TOO_SHORT, Rung.AUTHENTICATION, Kind.TRANSIENT, Healer.TIME,
        "The broker refuses the login: the credentials are about to expire.",
        "Passes with the next renewal, which begins 15 minutes before their end. If it lasts, renewing fails: look for "
        "the warning CredentialRefreshFailing. Temporary keys from the environment are never renewed: remove "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
    ),
    Entry(
        Reason.CONNECTION_RATE_EXCEEDED, Rung.AUTHENTICATION, Kind.TRANSIENT, Healer.AWS,
        "The broker refuses the login: too many new IAM connections a second.",
        "Use fewer clients or larger brokers: kafka.t3.small takes 4 new IAM connections a second, others 20 to 100.",
    ),
    Entry(
        Reason.BROKER_UNREACHABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.NETWORK,
        "Bootstrap works, but broker {broker}[[, which is needed for {topic},]] cannot be reached[[ ({detail})]].",
        f"Open TCP port {{port}} for every broker of the cluster, not only the bootstrap ones: {_SECURITY_GROUP}",
        (
            Variant(
                "detail", ("NameNotResolved", "ResolverUnavailable"),
                remedy="The broker's advertised name {host} must resolve in the pod: use the VPC's own DNS, or "
                "associate the private hosted zone of the brokers with the pod's VPC.",
            ),
            Variant(
                "detail", ("ConnectionRefused", "ConnectionReset"),
                remedy="Look whether the broker is up (aws kafka list-nodes --cluster-arn {cluster_arn}) and whether "
                "{host}:{port}, which it advertises, is its address for this network.",
            ),
            Variant(
                "detail",
                (
                    "CertificateUntrusted", "CertificateNameMismatch", "CertificateExpired", "CertificateNotYetValid",
                    "TLSNotSpoken", "TLSHandshakeFailed", "CAFileUnusable",
                ),
                remedy="The broker is there, but TLS with it fails: connectivity-operator explain kafka {detail}",
            ),
            Variant(
                "detail", ("RequestTimeout",),
                remedy="The broker accepts connections, but did not answer the login: "
                "connectivity-operator explain kafka {detail}",
            ),
        ),
    ),
    Entry(
        Reason.DESCRIBE_TOPIC_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "The login is accepted, but {principal} may not describe topic {topic}.",
        "Allow kafka-cluster:DescribeTopic on {topic_arn} for {principal}." + EVERYTHING,
    ),
    Entry(
        Reason.TOPIC_NOT_FOUND, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "Topic {topic} does not exist.",
        "Create topic {topic}, which MSK does not by itself: aws kafka create-topic --cluster-arn {cluster_arn} "
        "--topic-name {topic} --partition-count 3 --replication-factor 3  (or kafka-topics.sh --create)  Or correct "
        "spec.topics.",
    ),
    Entry(
        Reason.DESCRIBE_GROUP_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "{principal} may not describe the consumer group {group}.",
        "Allow kafka-cluster:DescribeGroup on {group_arn} for {principal}." + EVERYTHING,
    ),
    Entry(
        Reason.ALTER_GROUP_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "{principal} may not join or commit in the consumer group {group}.",
        "Allow kafka-cluster:AlterGroup on {group_arn} for {principal}." + EVERYTHING,
    ),
    Entry(
        Reason.READ_DATA_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "The broker accepts the login but refuses to hand out messages of topic {topic}.",
        "Allow kafka-cluster:ReadData on {topic_arn} for {principal}." + EVERYTHING,
    ),
    Entry(
        Reason.WRITE_DATA_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "{principal} may not write to topic {topic}.",
        "Allow kafka-cluster:WriteData on {topic_arn} for {principal} (only `send` needs it).",
    ),
    Entry(
        Reason.TOO_LARGE, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "The message is larger than topic {topic} takes.",
        "Send a smaller message, or raise the topic's max.message.bytes.",
    ),
    Entry(
        Reason.COORDINATOR_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "The coordinator of consumer group {group} is not available.",
        "Usually passes after a broker's restart; if it lasts, look at the cluster's topic __consumer_offsets.",
    ),
    Entry(
        Reason.LEADER_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "A partition of topic {topic} has no leader[[ (number {topic_partition})]].",
        "Usually passes after a broker's restart; if it lasts, look at the cluster's brokers and the topic's replicas.",
    ),
    Entry(
        Reason.UNSUPPORTED_COMPRESSION, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "Messages of topic {topic} are compressed in a way that cannot be read here[[ ({codec})]].",
        "Produce with gzip, snappy, lz4 or zstd.",
    ),
    Entry(
        Reason.UNEXPECTED_ANSWER, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "{host}:{port} answers, but not as a Kafka broker does.",
        "Correct KAFKA_BOOTSTRAP_SERVERS: something else listens at {host}:{port}.",
    ),
    Entry(
        Reason.SERVICE_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "Kafka answers with an error of its own ({detail}).",
        "Look at the brokers' logs if this lasts.",
    ),
    Entry(
        Reason.REQUEST_TIMEOUT, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "Kafka did not answer a request within {limit} s.",
        "Look at the brokers' load; or raise spec.timeoutSeconds.",
        (
            Variant(
                "cause", ("login",),
                message="{host}:{port} accepts connections, but did not answer the login within {limit} s.",
                remedy="Look at the brokers' load. If that is low, large packets may be lost on the way: a login has "
                "some thousand bytes. Lower the MTU of the pods (or of the VPN or peering on the way), and let ICMP "
                "fragmentation needed pass network ACLs and security groups.",
            ),
        ),
    ),
)  # fmt: skip
