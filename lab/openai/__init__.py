"""The lab's OpenAI: `/v1/embeddings` with a real small model, OpenAI's limits, errors and, on demand, bad days."""

API_KEY = "sk-lab-connectivity-test-0000000000000000000000000000"
"""The key that the lab's server accepts. Worthless anywhere else."""

ORGANIZATION, PROJECT = "org-lab", "proj_lab"
"""Whose key it is."""
