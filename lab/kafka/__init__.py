"""MSK: Apache Kafka with two brokers, a listener that verifies AWS's tokens, and an authorizer that asks lab-iam."""
