"""Faults of Kafka: permissions on cluster, topics and groups."""

from __future__ import annotations

from lab import world
from lab.faults.permissions import denial

_TOPICS = f"arn:aws:kafka:{world.REGION}:{world.ACCOUNT}:topic/demo/{world.CLUSTER_UUID}"

FAULTS = (
    denial("kafka-connect-denied", "deny kafka-cluster:Connect in the role's policy", "kafka-cluster:Connect"),
    denial("kafka-readdata-denied", "deny kafka-cluster:ReadData in the role's policy", "kafka-cluster:ReadData"),
)
