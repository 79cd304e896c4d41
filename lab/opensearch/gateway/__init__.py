"""What OpenSearch Serverless puts before OpenSearch: TLS, SigV4 for `aoss`, IAM, data access policies, fewer APIs.

Emulated, from AWS's documentation and from what users report; nothing here was compared with AWS itself. Marked
*assumed* where neither says what AWS answers. Signatures and policies are decided by lab-iam.

===============  ======================================================================================================
operations       which requests Serverless serves, and what permission each needs (pure)
bulk             takes own document ids out of a `_bulk` body and puts their refusals into its answer (pure)
mappings         what Serverless takes as a vector field, and what the server behind can do without native code (pure)
answers          the refusals, word for word
locks            asks lab-iam: signature, IAM policy, data access policy
injection        bad days on demand: throttling, outages, delays, lost answers (pure)
server           the way of a request through all of these
control_api      the endpoint that tests and faults use (`lab.opensearch.control` speaks to it)
===============  ======================================================================================================
"""
