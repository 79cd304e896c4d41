"""Reasons of the shared identity rung: how the pod comes by its AWS credentials."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer, Variant
from connectivity_operator.diagnosis.catalogue.network import CA_FILES
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

_TRUST = (
    '{{"Effect":"Allow","Principal":{{"Federated":"arn:{partition}:iam::{account}:oidc-provider/{issuer_host}"}},'
    '"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{issuer_host}:sub":"{subject}",'
    '"{issuer_host}:aud":"{audience}"}}}}}}'
)
"""The statement of a trust policy that lets exactly this pod's token in."""

_PODS_TRUST = (
    '{{"Effect":"Allow","Principal":{{"Service":"pods.eks.amazonaws.com"}},"Action":["sts:AssumeRole","sts:TagSession"],'
    '"Condition":{{"StringEquals":{{"aws:RequestTag/kubernetes-namespace":"{namespace}",'
    '"aws:RequestTag/kubernetes-service-account":"{service_account}"}}}}}}'
)
"""The same for EKS Pod Identity."""

_ANNOTATE = (
    "kubectl -n {namespace} annotate serviceaccount {service_account} --overwrite "
    "eks.amazonaws.com/role-arn=<role ARN>  (with the chart: ho-microservice.serviceAccount.annotations), and restart "
    "the operator's pod"
)
_STATIC = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"

ENTRIES = (
    Entry(
        Reason.NOT_CONFIGURED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "Nothing can be signed: {variable} is not set.",
        "Set {variable} in the operator's environment (the chart's values) and restart the operator.",
    ),
    Entry(
        Reason.NO_CREDENTIALS, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The pod has no AWS credentials: {variable} is not set, and nothing else gives any (no Pod Identity, no keys, "
        "no node role).",
        f"Give the ServiceAccount a role: {_ANNOTATE}. Or create a Pod Identity association: aws eks "
        "create-pod-identity-association --cluster-name <cluster> --namespace {namespace} "
        "--service-account {service_account} --role-arn <role ARN>",
        (Variant("detail", message="There are no AWS credentials: {detail}."),),
    ),
    Entry(
        Reason.ROLE_NOT_CONFIGURED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "A web identity token is configured, but no role: AWS_ROLE_ARN is not set.",
        f"Annotate the ServiceAccount: {_ANNOTATE}. Outside EKS set AWS_ROLE_ARN.",
    ),
    Entry(
        Reason.INVALID_ROLE_ARN, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "STS does not accept {role_arn} as the ARN of a role.",
        "Correct the annotation (arn:aws:iam::<account>:role/<role name>): kubectl -n {namespace} annotate "
        "serviceaccount {service_account} --overwrite eks.amazonaws.com/role-arn=<role ARN>, and restart the "
        "operator's pod.",
    ),
    Entry(
        Reason.WEB_IDENTITY_TOKEN_MISSING, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The web identity token file {path} does not exist.",
        "Delete the operator's pod: the new one gets the projected token from EKS's webhook (if not: is the "
        "ServiceAccount {service_account} annotated?). Outside EKS correct AWS_WEB_IDENTITY_TOKEN_FILE.",
    ),
    Entry(
        Reason.WEB_IDENTITY_TOKEN_UNREADABLE, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The web identity token file {path} exists, but the operator's user may not read it.",
        "Set securityContext.fsGroup of the pod to a group of the operator's user, such as 65532 (the chart does), so "
        "that it may read the projected token.",
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
        "STS refuses to let {subject} assume {role_arn}. It says the same of a role that does not exist and of one "
        "whose trust policy does not match the token.",
        f"If the role exists, add to the trust policy of {{role_arn}}: {_TRUST}",
        (
            Variant(
                "cause", ("pods",),
                message="EKS Pod Identity has an association for the pod, but may not assume its role.",
                remedy=f"If the role of the association exists, add to its trust policy: {_PODS_TRUST}",
            ),
        ),
    ),
    Entry(
        Reason.OIDC_PROVIDER_MISSING, Rung.IDENTITY, Kind.REFUSED, Healer.AWS,
        "The AWS account {account} has no OpenID Connect provider for the cluster's issuer {issuer}.",
        "aws iam create-open-id-connect-provider --url {issuer} --client-id-list {audience}  and, if it is not there, "
        f"add to the trust policy of {{role_arn}}: {_TRUST}",
    ),
    Entry(
        Reason.AUDIENCE_MISMATCH, Rung.IDENTITY, Kind.REFUSED, Healer.AWS,
        "The token's audience {audience} is not among those of the account's OpenID Connect provider {issuer_host}.",
        "Have the token made for AWS: kubectl -n {namespace} annotate serviceaccount {service_account} --overwrite "
        "eks.amazonaws.com/audience=sts.amazonaws.com, and restart the operator's pod. Or, to accept {audience}: aws "
        "iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn "
        "arn:{partition}:iam::{account}:oidc-provider/{issuer_host} --client-id {audience}  and, if it is not there, "
        f"add to the trust policy of {{role_arn}}: {_TRUST}",
        (
            Variant(
                "audience", ("sts.amazonaws.com",),
                remedy="aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn "
                "arn:{partition}:iam::{account}:oidc-provider/{issuer_host} --client-id {audience}  and, if it is not "
                f"there, add to the trust policy of {{role_arn}}: {_TRUST}",
            ),
        ),
    ),
    Entry(
        Reason.IDENTITY_PROVIDER_UNREACHABLE, Rung.IDENTITY, Kind.TRANSIENT, Healer.TIME,
        "STS cannot read the keys of the cluster's issuer {issuer}.",
        "Passes by itself on EKS. A self-hosted issuer must be reachable from AWS: check {issuer}/openid/v1/jwks.",
    ),
    Entry(
        Reason.STS_UNREACHABLE, Rung.IDENTITY, Kind.TRANSIENT, Healer.NETWORK,
        "STS at {host} cannot be reached from the pod: {detail}.",
        "Create the VPC endpoint com.amazonaws.{region}.sts with private DNS and allow TCP 443 to it from the pod's "
        "security group, or give the pod a way out (NAT).",
        (
            Variant(
                "cause", ("CertificateUntrusted",),
                remedy="If something between intercepts TLS (a company's proxy), mount its authority's certificate and "
                "set EXTRA_CA_FILE to it; otherwise find out who answers for {host}.",
            ),
            Variant("cause", ("CAFileUnusable",), remedy=CA_FILES["EXTRA_CA_FILE"]),
            Variant(
                "cause", ("CertificateExpired", "CertificateNotYetValid"),
                remedy="Check the node's clock; if it is right, find out who answers for {host} with that certificate.",
            ),
            Variant(
                "cause", ("CertificateNameMismatch", "TLSNotSpoken", "TLSHandshakeFailed"),
                remedy="Find out who answers for {host} instead of STS: DNS, a VPC endpoint, a proxy.",
            ),
            Variant(
                "cause", ("NameNotResolved", "ResolverUnavailable"),
                remedy="Check that AWS_REGION ({region}) exists, and the cluster's DNS: kubectl -n kube-system get "
                "pods -l k8s-app=kube-dns. A VPC endpoint com.amazonaws.{region}.sts needs private DNS.",
            ),
            Variant(
                "cause", ("RegionDisabled",),
                remedy="Activate STS for {region} in the account's settings (IAM console, Account settings, "
                "Endpoints), or set AWS_REGION to another region.",
            ),
        ),
    ),
    Entry(
        Reason.STS_ACCESS_DENIED, Rung.IDENTITY, Kind.REFUSED, Healer.AWS,
        "STS does not allow {permission} to requests that come this way: the policy of a VPC endpoint does not.",
        "Add to the policy of the VPC endpoint com.amazonaws.{region}.sts: "
        '{{"Effect":"Allow","Principal":"*","Action":["sts:AssumeRoleWithWebIdentity","sts:GetCallerIdentity"],'
        '"Resource":"*"}}',
        (
            Variant(
                "cause", ("service control policy", "resource control policy"),
                message="A {cause} of the organization denies {permission} to {role_arn}.",
                remedy="Have whoever owns the organization's policies (AWS Organizations, Policies) take {role_arn} "
                "out of the {cause} that denies {permission}.",
            ),
        ),
    ),
    Entry(
        Reason.POD_IDENTITY_UNAVAILABLE, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "EKS Pod Identity gives no credentials[[: {detail}]].",
        "Install the add-on: aws eks create-addon --cluster-name <cluster> --addon-name eks-pod-identity-agent  and "
        "create an association: aws eks create-pod-identity-association --cluster-name <cluster> "
        "--namespace {namespace} --service-account {service_account} --role-arn <role ARN>",
        (
            Variant(
                "cause", ("association",),
                remedy="aws eks create-pod-identity-association --cluster-name <cluster> --namespace {namespace} "
                "--service-account {service_account} --role-arn <role ARN>  and restart the operator's pod.",
            ),
            Variant(
                "cause", ("agent",),
                remedy="Look at the agent on the pod's node: kubectl -n kube-system get pods -l "
                "app.kubernetes.io/name=eks-pod-identity-agent -o wide  If there is none: aws eks create-addon "
                "--cluster-name <cluster> --addon-name eks-pod-identity-agent",
            ),
        ),
    ),
    Entry(
        Reason.CREDENTIALS_EXPIRED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The AWS credentials have expired and could not be renewed.",
        f"Recreate the pod. With static credentials: remove {_STATIC}, so that the ServiceAccount's role is used.",
    ),
    Entry(
        Reason.CREDENTIALS_REJECTED, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "STS does not know the AWS credentials in use[[ ({detail})]]: the access key is wrong or deleted, or the "
        "secret is not its.",
        f"Replace the keys in the operator's environment, or remove them ({_STATIC}), so that the ServiceAccount's "
        "role is used.",
        (
            Variant(
                "cause", ("session token",),
                message="The AWS credentials in use are temporary ones (their access key begins with ASIA) without "
                "their session token.",
                remedy="Set AWS_SESSION_TOKEN beside AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or remove both, so "
                "that the ServiceAccount's role is used.",
            ),
        ),
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
        f"Remove {_STATIC} from the operator's environment.",
    ),
    Entry(
        Reason.NODE_ROLE_IN_USE, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "The node's role is in use: the pod has no identity of its own.",
        f"Give the ServiceAccount a role: {_ANNOTATE}.",
    ),
    Entry(
        Reason.GLOBAL_STS_ENDPOINT, Rung.IDENTITY, Kind.REFUSED, Healer.DEPLOYMENT,
        "STS is asked at its global endpoint, which a VPC with only a regional endpoint cannot reach.",
        "Set AWS_REGION, and AWS_STS_REGIONAL_ENDPOINTS=regional.",
    ),
    Entry(
        Reason.CREDENTIAL_REFRESH_FAILING, Rung.IDENTITY, Kind.TRANSIENT, Healer.TIME,
        "The AWS credentials cannot be renewed, or STS not be asked, at the moment[[ ({cause})]]; the present ones "
        "still work.",
        "If this lasts: connectivity-operator explain identity {cause}",
    ),
)  # fmt: skip
