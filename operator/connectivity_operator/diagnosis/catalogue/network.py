"""Reasons of the rungs that every service has: configuration, names, TCP and TLS; and of proxies (HTTPS only)."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer, Variant
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import DEPENDENCIES, Reason, Rung, Service

SERVICES = DEPENDENCIES
_FOLLOWED = "is used as soon as it is there, without a restart."

CA_FILES = {
    "EXTRA_CA_FILE": "Put the certificates of your authority there, in PEM, or correct EXTRA_CA_FILE (the chart: "
    f"--set-file trust.extraBundle=ca.pem makes the ConfigMap connectivity-operator-trust). The file {_FOLLOWED}",
    "POSTGRES_CA_FILE": "Put the RDS bundle there: curl -O "
    "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem  Or correct POSTGRES_CA_FILE (the chart: "
    "--set-file trust.rdsBundle=global-bundle.pem makes the ConfigMap connectivity-operator-trust). The file "
    f"{_FOLLOWED}",
    "EXTRA_CA_FILE and POSTGRES_CA_FILE": "Put both files there, in PEM, or correct the variables (the chart: "
    "--set-file trust.extraBundle=ca.pem --set-file trust.rdsBundle=global-bundle.pem makes the ConfigMap "
    f"connectivity-operator-trust). Each {_FOLLOWED}",
}
"""Which files of certificates cannot be used -> what to do."""

HTTPS_SERVICES = (Service.IDENTITY, Service.OPENAI, Service.OPENSEARCH)

ENTRIES = (
    Entry(
        Reason.NOT_CONFIGURED, Rung.CONFIGURATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "{service} is not configured: there is no {variable}.",
        "Set {variable} in the operator's environment (the chart's values) and restart the operator.",
    ),
    Entry(
        Reason.INVALID_CONFIGURATION, Rung.CONFIGURATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "{variable} cannot be right: {detail}.",
        "Correct {variable} in the operator's environment (the chart's values) and restart the operator.",
        (
            Variant("variable", ("spec.index",), remedy="Correct spec.index: {service} does not take that name."),
            Variant(
                "endpoint_region",
                remedy="Set AWS_REGION={endpoint_region} in the operator's environment (the chart's values) and "
                "restart the operator; or correct {setting}.",
            ),
        ),
    ),
    Entry(
        Reason.NAME_NOT_RESOLVED, Rung.DNS, Kind.TRANSIENT, Healer.NETWORK,
        "The name {host} does not resolve from the pod.",
        "Check the spelling and region of {host} in {setting}. A private endpoint needs the VPC's own DNS: "
        "enableDnsSupport and enableDnsHostnames on the VPC, private DNS on the VPC endpoint.",
    ),
    Entry(
        Reason.RESOLVER_UNAVAILABLE, Rung.DNS, Kind.TRANSIENT, Healer.NETWORK,
        "The pod's DNS resolver does not answer, so {host} cannot be looked up.",
        "Check CoreDNS (kubectl -n kube-system get pods -l k8s-app=kube-dns) and that egress to UDP and TCP port 53 "
        "is allowed by NetworkPolicies and security groups.",
    ),
    Entry(
        Reason.CONNECTION_REFUSED, Rung.TCP, Kind.TRANSIENT, Healer.NETWORK,
        "{host}:{port} refuses connections: the host is reachable, but nothing listens on that port.",
        "Check the port in {setting} ({service} listens on {usual_port}) and that the service on {host} is running.",
    ),
    Entry(
        Reason.CONNECTION_TIMEOUT, Rung.TCP, Kind.TRANSIENT, Healer.NETWORK,
        "No answer from {host}:{port}[[ within {limit} s]].",
        "Open port {port} from the pod's security group to that of {host}: aws ec2 "
        "authorize-security-group-ingress --group-id <security group of the target> --protocol tcp --port {port} "
        "--source-group <security group of the pod or node>  and egress of the latter on the same port; then check "
        "NetworkPolicies, network ACLs and routes.",
        (
            Variant(
                "service",
                ("OpenAI",),
                remedy="Open port {port} from the pod to {host}: egress in its security group and NetworkPolicies, and "
                "a way out to the internet (a NAT gateway, or HTTPS_PROXY).",
            ),
        ),
    ),
    Entry(
        Reason.CONNECTION_RESET, Rung.TCP, Kind.TRANSIENT, Healer.NETWORK,
        "{host}:{port} accepts the connection and closes it at once.",
        "Look for a load balancer without a healthy target, a firewall that resets, or another protocol on that port.",
        (Variant("detail", message="{host}:{port} accepts the connection and closes it {detail}."),),
    ),
    Entry(
        Reason.NETWORK_UNREACHABLE, Rung.TCP, Kind.TRANSIENT, Healer.NETWORK,
        "There is no route from the pod to {host}[[ ({address})]].",
        "Add a route to {address} (route table, peering, transit gateway) or use an address family that the pod has; "
        "a firewall on the node that rejects looks the same.",
    ),
    Entry(
        Reason.TLS_NOT_SPOKEN, Rung.TLS, Kind.REFUSED, Healer.DEPLOYMENT,
        "{host}:{port} is open but does not speak TLS.",
        "Set {setting} to the TLS port ({usual_port} for {service}): port {port} of {host} is another protocol's.",
    ),
    Entry(
        Reason.CERTIFICATE_UNTRUSTED, Rung.TLS, Kind.REFUSED, Healer.DEPLOYMENT,
        "The certificate of {host}:{port} is signed by an authority that is not trusted here[[ ({issuer})]].",
        "If that authority is yours (a private or a TLS-inspecting one), mount its certificate and set EXTRA_CA_FILE "
        "to it (the chart: --set-file trust.extraBundle=ca.pem). Otherwise find out who answers for {host}.",
    ),
    Entry(
        Reason.CA_FILE_UNUSABLE, Rung.TLS, Kind.REFUSED, Healer.DEPLOYMENT,
        "{variable} cannot be used: {detail}.[[ Without it the certificate of {untrusted} is not trusted.]]",
        "Put the certificates there, in PEM, or correct {variable}.",
        tuple(Variant("variable", (variable,), remedy=remedy) for variable, remedy in CA_FILES.items()),
    ),
    Entry(
        Reason.CERTIFICATE_NAME_MISMATCH, Rung.TLS, Kind.REFUSED, Healer.DEPLOYMENT,
        "The certificate that {host}:{port} shows is for other names[[: {names}]].",
        "Set {setting} to the endpoint's own AWS name instead of a CNAME, an alias or an IP address.",
    ),
    Entry(
        Reason.CERTIFICATE_EXPIRED, Rung.TLS, Kind.REFUSED, Healer.AWS,
        "The certificate of {host}:{port} has expired[[ (on {expires})]].",
        "Renew the certificate on {host}; if it is valid elsewhere, correct the node's clock.",
    ),
    Entry(
        Reason.CERTIFICATE_NOT_YET_VALID, Rung.TLS, Kind.REFUSED, Healer.AWS,
        "The certificate of {host}:{port} is not valid yet.",
        "Correct the node's clock, or replace the certificate on {host}.",
    ),
    Entry(
        Reason.TLS_HANDSHAKE_FAILED, Rung.TLS, Kind.TRANSIENT, Healer.NETWORK,
        "The TLS handshake with {host}:{port} failed[[: {detail}]].",
        "Check that {host} offers TLS 1.2 or newer and that nothing between intercepts the connection.",
    ),
    Entry(
        Reason.CERTIFICATE_EXPIRES_SOON, Rung.TLS, Kind.TRANSIENT, Healer.AWS,
        "The certificate of {host}:{port} expires on {expires}.",
        "Renew the certificate of {host} before {expires}.",
    ),
)  # fmt: skip

HTTPS_ENTRIES = (
    Entry(
        Reason.PROXY_UNREACHABLE, Rung.TCP, Kind.TRANSIENT, Healer.NETWORK,
        "The proxy {host}:{port} named in HTTPS_PROXY cannot be reached[[: {detail}]].",
        "Correct HTTPS_PROXY and allow TCP port {port} to {host}; or exempt the endpoint by adding it to NO_PROXY"
        "[[ ({target})]].",
    ),
    Entry(
        Reason.PROXY_AUTHENTICATION_REQUIRED, Rung.TCP, Kind.REFUSED, Healer.DEPLOYMENT,
        "The proxy {host}:{port} asks for a user and password.",
        "Set HTTPS_PROXY=http://<user>:<password>@{host}:{port}, or exempt the endpoint by adding it to NO_PROXY"
        "[[ ({target})]].",
        (
            Variant(
                "cause", ("refused",),
                message="The proxy {host}:{port} does not accept the user and password in HTTPS_PROXY.",
                remedy="Correct user and password in HTTPS_PROXY=http://<user>:<password>@{host}:{port} (special "
                "characters percent-encoded), or exempt the endpoint by adding it to NO_PROXY[[ ({target})]].",
            ),
        ),
    ),
    Entry(
        Reason.PROXY_REFUSED, Rung.TCP, Kind.REFUSED, Healer.NETWORK,
        "The proxy {host}:{port} refuses to connect to {target}[[ (HTTP {status})]].",
        "Allow CONNECT to {target} in the proxy, or exempt it by adding it to NO_PROXY.",
        (
            Variant(
                "status", ("500", "502", "503", "504"),
                message="The proxy {host}:{port} cannot reach {target} itself (HTTP {status}).",
                remedy="Give the proxy a way to {target}: DNS and egress of its own; or exempt {target} by NO_PROXY.",
            ),
        ),
    ),
    Entry(
        Reason.UNEXPECTED_ANSWER, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "{host} answers, but not as {service} does[[ (HTTP {status})]].",
        "Check {setting}: something else listens at {host}, such as a portal or a proxy's error page.",
    ),
)  # fmt: skip
