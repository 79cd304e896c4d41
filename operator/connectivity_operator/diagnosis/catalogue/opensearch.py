"""Reasons of OpenSearch Serverless: two locks (IAM and data access policy), the network policy, the index."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

ENTRIES = (
    Entry(
        Reason.API_ACCESS_DENIED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "The collection refuses {principal} before any data access policy is asked (403 Forbidden). From here that is "
        "one of: no aoss:APIAccessAll, or a signature it does not accept.",
        "Allow aoss:APIAccessAll on {collection_arn} for {principal}; check that AWS_REGION ({region}) is the "
        "collection's.",
    ),
    Entry(
        Reason.SIGNATURE_REJECTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "The collection does not accept the signature: {detail}.",
        "Set AWS_REGION to the endpoint's region ({endpoint_region}) and OPENSEARCH_SERVICE to aoss for Serverless, es "
        "for a domain.",
    ),
    Entry(
        Reason.DATA_ACCESS_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "IAM lets {principal} in, but no data access policy gives it {permission} on index {index}.",
        "Add to a data access policy of the collection: permission {permission}, resource index/{collection}/{index}, "
        "principal {principal}.",
    ),
    Entry(
        Reason.NETWORK_POLICY_DENIED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "The collection's network policy does not let this network in.",
        "Add the pod's OpenSearch Serverless VPC endpoint to the collection's network policy, or make it public.",
    ),
    Entry(
        Reason.CREATE_INDEX_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "Index {index} does not exist and {principal} may not create it.",
        "Add aoss:CreateIndex on index/{collection}/{index} for {principal} to a data access policy, or "
        "create the index.",
    ),
    Entry(
        Reason.INDEX_NOT_FOUND, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "Index {index} does not exist.",
        "It is created with the first message; if this lasts, look at the right to create it (aoss:CreateIndex).",
    ),
    Entry(
        Reason.INDEX_CLOSED, Rung.OPERATION, Kind.REFUSED, Healer.AWS,
        "Index {index} is closed.",
        "Open it: POST {index}/_open.",
    ),
    Entry(
        Reason.MAPPING_MISMATCH, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "The field vector of index {index} is not a knn_vector.",
        "Name another index in spec.index, or delete {index}: it is created anew with the right mapping.",
    ),
    Entry(
        Reason.DIMENSION_MISMATCH, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "Index {index} holds vectors of {expected_dimensions} dimensions, the model gives {dimensions}.",
        "Set spec.dimensions to {expected_dimensions}, name another index in spec.index, or delete {index}.",
    ),
    Entry(
        Reason.DOCUMENT_REJECTED, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "The index refuses a document.",
        "Look at the ERROR rows of demo_log for topic, partition and offset.",
    ),
    Entry(
        Reason.THROTTLED, Rung.OPERATION, Kind.TRANSIENT, Healer.AWS,
        "The collection asks to slow down (429).",
        "Passes by itself, messages wait; if it lasts, raise the account's maximum OCUs for indexing.",
    ),
    Entry(
        Reason.SERVICE_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "OpenSearch answers with an error of its own (HTTP {status}).",
        "Passes by itself; look at the collection's health in CloudWatch if it lasts.",
    ),
    Entry(
        Reason.REQUEST_TIMEOUT, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "No answer from the collection within {limit} s.",
        "Look at the collection's load; or raise spec.timeoutSeconds.",
    ),
    Entry(
        Reason.INDEX_ABSENT, Rung.AUTHORIZATION, Kind.REFUSED, Healer.RESOURCE,
        "Index {index} does not exist yet; it is created with the first message.",
        "Nothing to do. `check --create` creates it now.",
    ),
)  # fmt: skip
