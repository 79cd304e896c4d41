"""Reasons of the shared identity rung: how the pod comes by its AWS credentials."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

_TRUST = (
    'Add to the trust policy of {role_arn}: {{"Effect":"Allow","Principal":{{"Federated":"arn:{partition}:iam::'
    '{account}:oidc-provider/{issuer_host}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":'
    '{{"{issuer_host}:sub":"{subject}","{issuer_host}:aud":"{audience}"}}}}}}'
)

ENTRIES = (
    Entry(
        Reason.NOT_CONFIGURED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "Nothing can be signed: {variable} is not set.",
        "Set {variable} in the operator's environment (the chart's values) and restart the operator.",
    ),
    Entry(
        Reason.NO_CREDENTIALS, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The pod has no AWS credentials: no web identity token, no Pod Identity association.",
        "Annotate the ServiceAccount: kubectl -n {namespace} annotate serviceaccount {service_account} "
        "eks.amazonaws.com/role-arn=<role ARN>; then restart the operator's pod. Or create a Pod Identity association.",
    ),
    Entry(
        Reason.ROLE_NOT_CONFIGURED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "A web identity token is configured, but no role: AWS_ROLE_ARN is not set.",
        "Annotate the ServiceAccount {service_account} with eks.amazonaws.com/role-arn=<role ARN> and restart the pod "
        "(outside EKS: set AWS_ROLE_ARN).",
    ),
    Entry(
        Reason.INVALID_ROLE_ARN, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "STS does not accept {role_arn} as the ARN of a role.",
        "Correct the annotation eks.amazonaws.com/role-arn: arn:aws:iam::<account>:role/<role name>.",
    ),
    Entry(
        Reason.WEB_IDENTITY_TOKEN_MISSING, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The web identity token file {path} does not exist.",
        "Recreate the pod, so that EKS mounts the projected token; outside EKS correct AWS_WEB_IDENTITY_TOKEN_FILE.",
    ),
    Entry(
        Reason.WEB_IDENTITY_TOKEN_UNREADABLE, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The web identity token file {path} exists, but the operator's user may not read it.",
        "Set securityContext.fsGroup in the pod (the chart does), so that its user may read the projected token.",
    ),
    Entry(
        Reason.WEB_IDENTITY_TOKEN_INVALID, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "STS does not accept the web identity token in {path}.",
        "Recreate the pod; check that {path} is the ServiceAccount's projected token and that {issuer} is the "
        "cluster's own issuer.",
    ),
    Entry(
        Reason.WEB_IDENTITY_TOKEN_EXPIRED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The web identity token in {path} has expired.",
        "The kubelet renews the projected token: recreate the pod, and check the node's clock.",
    ),
    Entry(
        Reason.TRUST_POLICY_MISMATCH, Rung.IDENTITY, Kind.REFUSED, Healer.AWS,
        "STS refuses to let {subject} assume {role_arn}: the role does not exist or its trust policy does not match.",
        _TRUST,
    ),
    Entry(
        Reason.OIDC_PROVIDER_MISSING, Rung.IDENTITY, Kind.REFUSED, Healer.AWS,
        "The AWS account has no OpenID Connect provider for the cluster's issuer {issuer}.",
        "eksctl utils associate-iam-oidc-provider --cluster <cluster> --approve  (issuer {issuer})",
    ),
    Entry(
        Reason.AUDIENCE_MISMATCH, Rung.IDENTITY, Kind.REFUSED, Healer.AWS,
        "The token's audience {audience} is not accepted by the account's OpenID Connect provider.",
        "aws iam add-client-id-to-open-id-connect-provider --client-id sts.amazonaws.com "
        "--open-id-connect-provider-arn arn:aws:iam::<account>:oidc-provider/{issuer_host}; or annotate the "
        "ServiceAccount with eks.amazonaws.com/audience=sts.amazonaws.com.",
    ),
    Entry(
        Reason.IDENTITY_PROVIDER_UNREACHABLE, Rung.IDENTITY, Kind.TRANSIENT, Healer.TIME,
        "STS cannot read the keys of the cluster's issuer {issuer}.",
        "Passes by itself on EKS. A self-hosted issuer must be reachable from AWS: check {issuer}/openid/v1/jwks.",
    ),
    Entry(
        Reason.STS_UNREACHABLE, Rung.IDENTITY, Kind.TRANSIENT, Healer.NETWORK,
        "STS at {host} cannot be reached from the pod: {detail}.",
        "Create the VPC endpoint com.amazonaws.{region}.sts with private DNS, or give the pod a way out (NAT); open "
        "port 443 to it.",
    ),
    Entry(
        Reason.POD_IDENTITY_UNAVAILABLE, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The EKS Pod Identity agent gives no credentials.",
        "Install the add-on eks-pod-identity-agent and create an association: aws eks create-pod-identity-association "
        "--cluster-name <cluster> --namespace {namespace} --service-account {service_account} --role-arn <role ARN>.",
    ),
    Entry(
        Reason.CREDENTIALS_EXPIRED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The AWS credentials have expired and could not be renewed.",
        "Recreate the pod; with static credentials in the environment, replace them by IRSA.",
    ),
    Entry(
        Reason.CREDENTIALS_REJECTED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "STS does not know the AWS credentials in use: the access key is wrong or deleted, or the secret is not its.",
        "Replace the keys in the operator's environment, or remove them (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
        "AWS_SESSION_TOKEN), so that the ServiceAccount's role is used.",
    ),
    Entry(
        Reason.SERVICE_UNAVAILABLE, Rung.IDENTITY, Kind.TRANSIENT, Healer.TIME,
        "STS answers with an error of its own (HTTP {status}).",
        "Passes by itself; see the AWS Health Dashboard for {region} if it lasts.",
    ),
    Entry(
        Reason.CLOCK_SKEW, Rung.IDENTITY, Kind.REFUSED, Healer.NETWORK,
        "The clock here and the clock of AWS differ by more than five minutes: every signature is refused.",
        "Correct the node's clock (chronyd; on EC2 the time service 169.254.169.123).",
    ),
    Entry(
        Reason.STATIC_CREDENTIALS_IN_USE, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "Static AWS keys from the environment or a file are in use; they win over IRSA.",
        "Remove AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN from the operator's environment.",
    ),
    Entry(
        Reason.NODE_ROLE_IN_USE, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The node's role is in use: the pod has no identity of its own.",
        "Annotate the ServiceAccount {service_account} with eks.amazonaws.com/role-arn=<role ARN> and restart the pod.",
    ),
    Entry(
        Reason.GLOBAL_STS_ENDPOINT, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "STS is asked at its global endpoint, which a VPC with only a regional endpoint cannot reach.",
        "Set AWS_REGION, and AWS_STS_REGIONAL_ENDPOINTS=regional.",
    ),
    Entry(
        Reason.CREDENTIAL_REFRESH_FAILING, Rung.IDENTITY, Kind.TRANSIENT, Healer.TIME,
        "The AWS credentials cannot be renewed at the moment; the present ones still work.",
        "Look at the identity rung if this lasts: STS reachable, token file present, trust policy unchanged.",
    ),
)  # fmt: skip
