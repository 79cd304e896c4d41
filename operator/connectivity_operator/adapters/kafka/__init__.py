"""Kafka, by aiokafka: probe connections, a member of a consumer group, a producer.

aiokafka's private parts are used where its public ones hide a cause or lose a message; each place says why.
They were read in 0.14, to which the project is pinned.
"""

from connectivity_operator.adapters.kafka.access import Access
from connectivity_operator.adapters.kafka.client import Membership
from connectivity_operator.adapters.kafka.group_consumer import GroupConsumer
from connectivity_operator.adapters.kafka.prober import Prober
from connectivity_operator.adapters.kafka.producer import Producer

__all__ = ["Access", "GroupConsumer", "Membership", "Prober", "Producer"]
