"""AWS by botocore: the one credential chain of the process, and the tokens and signatures that are made of it.

The only place that imports botocore, boto3 and the MSK signer.
"""

from connectivity_operator.adapters.aws.identity import AwsIdentity
from connectivity_operator.adapters.aws.tokens import Frozen

__all__ = ["AwsIdentity", "Frozen"]
