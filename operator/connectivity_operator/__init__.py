"""aws-connectivity-test: does this workload reach MSK, OpenAI, OpenSearch Serverless and RDS, and if not, why?"""

__version__ = "0.1.0"
