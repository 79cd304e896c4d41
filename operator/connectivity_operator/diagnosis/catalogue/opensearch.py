"""Reasons of OpenSearch Serverless: two locks (IAM and data access policy), the network policy, the index.

A domain of the OpenSearch Service (``es``) has locks of its own: its texts are variants.
"""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import EVERYTHING, Entry, Healer, Variant
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

_POLICY = (
    '{{"Rules":[{{"ResourceType":"index","Resource":["index/{collection}/{index}"],"Permission":["{permission}"]}}],'
    '"Principal":["{principal}"]}}'
)
"""One element of a data access policy's list."""

_UNSIGNED = "Set OPENSEARCH_USE_IAM_AUTH=true, so that requests are signed, or let unsigned ones in on the server."
_MAPPING = (
    "Map {principal} to a role of the domain's fine-grained access control with the permissions get, write, "
    "create_index and indices:admin/mappings/get on {index}: in Dashboards, Security, Roles, Mapped users, Backend "
    "role {principal}."
)
_STORAGE = (
    "aws opensearch update-domain-config --domain-name <domain> --ebs-options EBSEnabled=true,VolumeSize=<GiB a node>"
)
_UNBLOCK = 'If the block is still there then, send PUT {index}/_settings with {{"index.blocks.{cause}":null}}'

ENTRIES = (
    Entry(
        Reason.API_ACCESS_DENIED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "The collection refuses {principal} (HTTP {status}) before any data access policy is asked. From here that is "
        "one of: no aoss:APIAccessAll on the collection, an explicit deny of it, or a signature that the service does "
        "not accept although its host, region, service and body hash are right.",
        "Allow aoss:APIAccessAll on {collection_arn} for {principal}. If that is allowed, look for a deny in its "
        f"policies, its permissions boundary and SCPs.{EVERYTHING}",
        (
            Variant(
                "signing_service", ("es",),
                message="The domain refuses {principal} (HTTP {status}): no policy allows it {permission}, or one "
                "denies it.",
                remedy="Allow {permission} on {collection_arn} for {principal}, in the role's policy or the domain's "
                f"access policy.{EVERYTHING}",
            ),
            Variant(
                "signing_service", ("none",),
                message="{host} refuses unsigned requests (HTTP {status}).",
                remedy=_UNSIGNED,
            ),
        ),
    ),
    Entry(
        Reason.SIGNATURE_REJECTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "OpenSearch does not accept the signature: {detail}.",
        "Set OPENSEARCH_ENDPOINT to the endpoint's own AWS name, AWS_REGION to its region[[ ({endpoint_region})]] and "
        "OPENSEARCH_SERVICE to aoss for Serverless, es for a domain.",
        (
            Variant(
                "signing_service", ("none",),
                message="{host} refuses unsigned requests (HTTP {status}).",
                remedy=_UNSIGNED,
            ),
        ),
    ),
    Entry(
        Reason.DATA_ACCESS_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "IAM lets {principal} in, but no data access policy gives it {permission} on index {index}.",
        "Add {permission} on index/{collection}/{index} for {principal} to a data access policy of the collection, as "
        "one more element of its list: "
        + _POLICY
        + EVERYTHING,
        (
            Variant(
                "signing_service", ("es",),
                message="The domain lets {principal} in, but its fine-grained access control does not allow what "
                "{permission} is needed for on index {index}.",
                remedy=_MAPPING,
            ),
            Variant(
                "signing_service", ("none",),
                message="OpenSearch does not allow unsigned requests what is needed on index {index}.",
                remedy=_UNSIGNED,
            ),
        ),
    ),
    Entry(
        Reason.NETWORK_POLICY_DENIED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "The collection answers 401: its network policy does not let in requests that come from this network.",
        "Add the VPC endpoint that the pod's traffic takes to the collection's network policy: "
        '[{{"Rules":[{{"ResourceType":"collection","Resource":["collection/{collection}"]}}],"AllowFromPublic":false,'
        '"SourceVPCEs":["<OpenSearch Serverless VPC endpoint, vpce-…>"]}}]',
    ),
    Entry(
        Reason.CREATE_INDEX_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.AWS,
        "Index {index} does not exist and {principal} may not create it.",
        "Add {permission} on index/{collection}/{index} for {principal} to a data access policy of the collection, or "
        "create the index. One more element of the policy's list: " + _POLICY + EVERYTHING,
        (
            Variant(
                "cause", ("cluster",),
                message="Index {index} does not exist, and the domain lets nobody create one "
                "(cluster.blocks.create_index).",
                remedy="Look at FreeStorageSpace and JVMMemoryPressure of the domain in CloudWatch: it sets this block "
                "by itself when one of them is bad, so add storage or nodes. If somebody has set it, send PUT "
                '_cluster/settings with {{"persistent":{{"cluster.blocks.create_index":null}}}}',
            ),
            Variant("signing_service", ("es",), remedy=_MAPPING),
            Variant(
                "signing_service", ("none",),
                message="Index {index} does not exist and unsigned requests may not create it.",
                remedy=_UNSIGNED,
            ),
        ),
    ),
    Entry(
        Reason.INDEX_NOT_FOUND, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "Index {index} does not exist.",
        "It is created with the first message; if this lasts, look at the right to create it (aoss:CreateIndex, on a "
        "domain es:ESHttpPut).",
    ),
    Entry(
        Reason.INDEX_CLOSED, Rung.OPERATION, Kind.REFUSED, Healer.AWS,
        "Index {index} is closed.",
        "Open it: POST {index}/_open",
    ),
    Entry(
        Reason.INDEX_READ_ONLY, Rung.OPERATION, Kind.REFUSED, Healer.AWS,
        "Index {index} takes no documents: the whole domain is read-only.",
        'Send PUT _cluster/settings with {{"persistent":{{"cluster.blocks.read_only":null,'
        '"cluster.blocks.read_only_allow_delete":null}}}}',
        (
            Variant(
                "cause", ("read_only_allow_delete",),
                message="Index {index} takes no documents (index.blocks.{cause}): OpenSearch sets this block when the "
                "disk of a node is nearly full.",
                remedy=f"Free space or add storage: {_STORAGE}  {_UNBLOCK}",
            ),
            Variant(
                "cause", ("write",),
                message="Index {index} takes no documents (index.blocks.{cause}): somebody has set this block, or the "
                "domain itself, which does so when storage is low or memory pressure high.",
                remedy="Look at FreeStorageSpace and JVMMemoryPressure of the domain in CloudWatch; if one of them is "
                f"bad, add storage or nodes: {_STORAGE}  {_UNBLOCK}",
            ),
            Variant(
                "cause", ("read_only",),
                message="Index {index} takes no documents: somebody has set index.blocks.{cause}.",
                remedy='Send PUT {index}/_settings with {{"index.blocks.{cause}":null}}',
            ),
        ),
    ),
    Entry(
        Reason.MAPPING_MISMATCH, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "The field vector of index {index} is not a knn_vector.",
        "Name another index in spec.index, or delete {index} (DELETE {index}): it is created anew with the right "
        "mapping.",
    ),
    Entry(
        Reason.DIMENSION_MISMATCH, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "Index {index} holds vectors of {expected_dimensions} dimensions, the model gives {dimensions}.",
        "Set spec.dimensions to {expected_dimensions}, name another index in spec.index, or delete {index} (DELETE "
        "{index}).",
    ),
    Entry(
        Reason.DOCUMENT_REJECTED, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "The index refuses a document[[ ({detail})]].",
        "Look at the ERROR rows: SELECT kafka_topic, kafka_partition, kafka_offset FROM demo_log WHERE log_level = "
        "'ERROR' ORDER BY id DESC LIMIT 20;",
    ),
    Entry(
        Reason.THROTTLED, Rung.OPERATION, Kind.TRANSIENT, Healer.AWS,
        "OpenSearch asks to slow down[[ (HTTP {status})]].",
        "Passes by itself, messages wait; if it lasts, lower maxMessagesPerMinute in the policy, or give the "
        "collection (domain) more capacity.",
        (
            Variant(
                "status", ("402",),
                message="The account's capacity for OpenSearch Serverless is used up: the maximum of OCUs is reached "
                "(HTTP 402).",
                remedy="Raise the maximum: aws opensearchserverless update-account-settings --capacity-limits "
                "maxIndexingCapacityInOCU=<more>,maxSearchCapacityInOCU=<more>  Messages wait until then.",
            ),
        ),
    ),
    Entry(
        Reason.SERVICE_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "OpenSearch answers with an error of its own[[ (HTTP {status})]][[: {detail}]].",
        "Passes by itself; look at the collection's (domain's) health in CloudWatch if it lasts.",
    ),
    Entry(
        Reason.REQUEST_TIMEOUT, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "{host} did not answer within {limit} s, although the connection stands.",
        "Look at the collection's (domain's) load; or raise spec.timeoutSeconds.",
    ),
    Entry(
        Reason.INDEX_ABSENT, Rung.AUTHORIZATION, Kind.REFUSED, Healer.RESOURCE,
        "Index {index} does not exist yet; it is created with the first message.",
        "Nothing to do. `check --create` creates it now.",
    ),
)  # fmt: skip
