"""The lab: real servers on loopback that refuse as MSK, RDS, OpenSearch Serverless, STS and OpenAI do.

Nothing under ``operator/`` knows this package. What is emulated is said to be emulated in the README.
"""
