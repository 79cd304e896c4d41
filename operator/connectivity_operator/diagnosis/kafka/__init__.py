"""Kafka's ladder: the rungs of one broker (`listener`), the brokers together, questions about topics and groups."""

from connectivity_operator.diagnosis.kafka.ladder import KafkaLadder

__all__ = ["KafkaLadder"]
