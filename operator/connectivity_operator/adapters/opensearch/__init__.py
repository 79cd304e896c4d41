"""OpenSearch Serverless (or a domain), over opensearch-py with signatures by requests-aws4auth."""

from connectivity_operator.adapters.opensearch.index import OpenSearchIndex

__all__ = ["OpenSearchIndex"]
