"""OpenSearch Serverless: a real OpenSearch with k-NN, behind a gateway that refuses what Serverless refuses."""
