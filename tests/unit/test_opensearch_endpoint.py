"""What an endpoint's name says."""

from __future__ import annotations

import pytest

from connectivity_operator.opensearch_endpoint import EndpointName, parse


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("x1y2.eu-west-2.aoss.amazonaws.com", EndpointName("aoss", "eu-west-2", "x1y2")),
        ("X1Y2.EU-WEST-2.aoss.amazonaws.com.", EndpointName("aoss", "eu-west-2", "x1y2")),
        ("x1y2.us-gov-west-1.aoss-fips.amazonaws.com", EndpointName("aoss", "us-gov-west-1", "x1y2")),
        ("x1y2.aoss.eu-west-2.on.aws", EndpointName("aoss", "eu-west-2", "x1y2")),
        ("search-a-b-xyz.cn-north-1.es.amazonaws.com.cn", EndpointName("es", "cn-north-1", "search-a-b-xyz")),
        ("vpc-a-xyz.aos.eu-west-2.on.aws", EndpointName("es", "eu-west-2", "vpc-a-xyz")),
        ("search.example.com", None),
        ("x1y2.eu-west-2.aoss.amazonaws.com.evil.example", None),
        ("127.0.0.1", None),
        ("", None),
    ],
)
def test_aws_names_tell_service_region_and_collection(host: str, name: EndpointName | None) -> None:
    """Every other name tells nothing."""
    assert parse(host) == name


@pytest.mark.parametrize(
    ("host", "partition", "arn"),
    [
        ("x1y2.eu-west-2.aoss.amazonaws.com", "aws", "arn:aws:aoss:eu-west-2:111122223333:collection/x1y2"),
        (
            "search-a-b-xyz.cn-north-1.es.amazonaws.com.cn",
            "aws-cn",
            "arn:aws-cn:es:cn-north-1:111122223333:domain/a-b/*",
        ),
        ("odd.eu-west-2.es.amazonaws.com", "aws", "arn:aws:es:eu-west-2:111122223333:domain/<domain>/*"),
    ],
)
def test_the_arn_is_the_one_that_iam_policies_name(host: str, partition: str, arn: str) -> None:
    """In the caller's partition."""
    name = parse(host)
    assert name is not None
    assert name.resource_arn(partition, "111122223333") == arn
