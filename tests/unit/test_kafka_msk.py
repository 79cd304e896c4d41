"""What a broker's name tells: the region and the parts of ARNs that policies must name."""

from __future__ import annotations

import pytest

from connectivity_operator.diagnosis.kafka import msk

FACTS = {"partition": "aws", "account": "111122223333", "region": "eu-west-2"}


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("b-1.demo.a1b2c3.c2.kafka.eu-west-2.amazonaws.com", "eu-west-2"),
        ("b-3-public.demo.a1b2c3.c2.kafka.us-east-1.amazonaws.com", "us-east-1"),
        ("boot-x1y2z3.c1.kafka-serverless.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
        ("b-1.demo.a1b2c3.c2.kafka.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("kafka.example.com", None),
        ("b-1.demo.kafka.eu-west-2.amazonaws.com.example.com", None),
    ],
)
def test_the_region_is_in_the_name(host: str, region: str | None) -> None:
    """Of MSK's own names only: an alias tells nothing."""
    assert msk.region_of(host) == region


def test_an_arn_is_as_complete_as_names_allow() -> None:
    """The cluster's name is in its brokers' names; its uuid is nowhere, and says so."""
    arn = msk.cluster_arn("b-1.demo.a1b2c3.c2.kafka.eu-west-2.amazonaws.com", FACTS)
    assert arn == "arn:aws:kafka:eu-west-2:111122223333:cluster/demo/<cluster uuid>"
    assert msk.topic_arn(arn, "orders") == "arn:aws:kafka:eu-west-2:111122223333:topic/demo/<cluster uuid>/orders"


def test_what_is_not_known_is_a_placeholder() -> None:
    """An alias, and nobody to ask who we are."""
    arn = msk.cluster_arn("kafka.example.com", {"region": "eu-west-2"})
    assert arn == "arn:aws:kafka:eu-west-2:<account>:cluster/<cluster name>/<cluster uuid>"


def test_a_given_arn_gives_those_of_topics_and_groups() -> None:
    """KAFKA_CLUSTER_ARN makes remedies complete, in every partition of AWS."""
    arn = "arn:aws-cn:kafka:cn-north-1:111122223333:cluster/demo/0d9c8b7a-6f5e-4d3c-2b1a-998877665544-2"
    group = "arn:aws-cn:kafka:cn-north-1:111122223333:group/demo/0d9c8b7a-6f5e-4d3c-2b1a-998877665544-2/g.1"
    assert msk.group_arn(arn, "g.1") == group
