"""An OpenAI-compatible embeddings API, over the openai SDK."""

from connectivity_operator.adapters.embeddings.api_key import ApiKey
from connectivity_operator.adapters.embeddings.client import OpenAIEmbedder

__all__ = ["ApiKey", "OpenAIEmbedder"]
