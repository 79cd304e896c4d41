"""The vocabulary of diagnosis: services, rungs and the closed set of reason codes.

Only names live here, so that adapters can say what they saw without knowing the catalogue
(`diagnosis.catalogue`), which gives every (service, code) its rung, cause, class and remedy.
Codes are part of the API: they stand in conditions, events, metrics and alerts, and are never renamed.
"""

from __future__ import annotations

from enum import StrEnum


class Service(StrEnum):
    """What a verdict is about. ``IDENTITY`` is shared by the three AWS services and has no condition of its own."""

    IDENTITY = "identity"
    KAFKA = "kafka"
    OPENAI = "openai"
    OPENSEARCH = "opensearch"
    POSTGRESQL = "postgresql"


DEPENDENCIES = (Service.KAFKA, Service.OPENAI, Service.OPENSEARCH, Service.POSTGRESQL)
"""The four services that have a condition, in the order of the columns and of `Ready`'s reasons."""


class Rung(StrEnum):
    """One step of a ladder, in climbing order. OpenAI has no identity rung."""

    CONFIGURATION = "configuration"
    IDENTITY = "identity"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"
    OPERATION = "operation"


class Result(StrEnum):
    """How a rung ended. Rungs after a failed one are skipped, never failed."""

    PASSED = "Passed"
    WARNED = "Warned"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Reason(StrEnum):
    """Every code that can stand as a reason in a condition, an event, a log line or a metric."""

    # all services
    NOT_CONFIGURED = "NotConfigured"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    NAME_NOT_RESOLVED = "NameNotResolved"
    RESOLVER_UNAVAILABLE = "ResolverUnavailable"
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_TIMEOUT = "ConnectionTimeout"
    CONNECTION_RESET = "ConnectionReset"
    NETWORK_UNREACHABLE = "NetworkUnreachable"
    TLS_NOT_SPOKEN = "TLSNotSpoken"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    CERTIFICATE_NAME_MISMATCH = "CertificateNameMismatch"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_NOT_YET_VALID = "CertificateNotYetValid"
    TLS_HANDSHAKE_FAILED = "TLSHandshakeFailed"
    CA_FILE_UNUSABLE = "CAFileUnusable"

    # identity
    NO_CREDENTIALS = "NoCredentials"
    ROLE_NOT_CONFIGURED = "RoleNotConfigured"
    INVALID_ROLE_ARN = "InvalidRoleArn"
    WEB_IDENTITY_TOKEN_MISSING = "WebIdentityTokenMissing"  # noqa: S105 (a code, not a token)
    WEB_IDENTITY_TOKEN_UNREADABLE = "WebIdentityTokenUnreadable"  # noqa: S105
    WEB_IDENTITY_TOKEN_INVALID = "WebIdentityTokenInvalid"  # noqa: S105
    WEB_IDENTITY_TOKEN_EXPIRED = "WebIdentityTokenExpired"  # noqa: S105
    TRUST_POLICY_MISMATCH = "TrustPolicyMismatch"
    OIDC_PROVIDER_MISSING = "OIDCProviderMissing"
    AUDIENCE_MISMATCH = "AudienceMismatch"
    IDENTITY_PROVIDER_UNREACHABLE = "IdentityProviderUnreachable"
    STS_UNREACHABLE = "STSUnreachable"
    STS_ACCESS_DENIED = "STSAccessDenied"
    POD_IDENTITY_UNAVAILABLE = "PodIdentityUnavailable"
    CREDENTIALS_EXPIRED = "CredentialsExpired"
    CREDENTIALS_REJECTED = "CredentialsRejected"
    CLOCK_SKEW = "ClockSkew"

    # HTTPS services
    PROXY_UNREACHABLE = "ProxyUnreachable"
    PROXY_AUTHENTICATION_REQUIRED = "ProxyAuthenticationRequired"
    PROXY_REFUSED = "ProxyRefused"
    UNEXPECTED_ANSWER = "UnexpectedAnswer"

    # kafka
    WRONG_LISTENER = "WrongListener"
    CLUSTER_ACCESS_DENIED = "ClusterAccessDenied"
    CREDENTIALS_TOO_SHORT = "CredentialsTooShort"
    CONNECTION_RATE_EXCEEDED = "ConnectionRateExceeded"
    BROKER_UNREACHABLE = "BrokerUnreachable"
    DESCRIBE_TOPIC_DENIED = "DescribeTopicDenied"
    TOPIC_NOT_FOUND = "TopicNotFound"
    DESCRIBE_GROUP_DENIED = "DescribeGroupDenied"
    ALTER_GROUP_DENIED = "AlterGroupDenied"
    READ_DATA_DENIED = "ReadDataDenied"
    WRITE_DATA_DENIED = "WriteDataDenied"
    COORDINATOR_UNAVAILABLE = "CoordinatorUnavailable"
    LEADER_UNAVAILABLE = "LeaderUnavailable"
    UNSUPPORTED_COMPRESSION = "UnsupportedCompression"

    # postgresql
    TLS_REFUSED = "TLSRefused"
    IAM_AUTHENTICATION_FAILED = "IAMAuthenticationFailed"
    IAM_NOT_GRANTED = "IAMNotGranted"
    RDS_PROXY_SECRET_MISSING = "RDSProxySecretMissing"  # noqa: S105
    PASSWORD_REJECTED = "PasswordRejected"  # noqa: S105
    LOGIN_NOT_PERMITTED = "LoginNotPermitted"
    HOST_REJECTED = "HostRejected"
    DATABASE_NOT_FOUND = "DatabaseNotFound"
    CONNECT_DENIED = "ConnectDenied"
    TOO_MANY_CONNECTIONS = "TooManyConnections"
    DATABASE_STARTING = "DatabaseStarting"
    READ_ONLY_DATABASE = "ReadOnlyDatabase"
    SCHEMA_USAGE_DENIED = "SchemaUsageDenied"
    CREATE_TABLE_DENIED = "CreateTableDenied"
    TABLE_MISMATCH = "TableMismatch"
    INSERT_DENIED = "InsertDenied"
    SEQUENCE_USAGE_DENIED = "SequenceUsageDenied"
    IDENTIFIERS_EXHAUSTED = "IdentifiersExhausted"
    STORAGE_FULL = "StorageFull"

    # opensearch
    API_ACCESS_DENIED = "APIAccessDenied"
    SIGNATURE_REJECTED = "SignatureRejected"
    DATA_ACCESS_DENIED = "DataAccessDenied"
    NETWORK_POLICY_DENIED = "NetworkPolicyDenied"
    CREATE_INDEX_DENIED = "CreateIndexDenied"
    INDEX_NOT_FOUND = "IndexNotFound"
    INDEX_CLOSED = "IndexClosed"
    INDEX_READ_ONLY = "IndexReadOnly"
    MAPPING_MISMATCH = "MappingMismatch"
    DIMENSION_MISMATCH = "DimensionMismatch"
    DOCUMENT_REJECTED = "DocumentRejected"
    THROTTLED = "Throttled"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"

    # openai (and ServiceUnavailable, DimensionMismatch above)
    API_KEY_MISSING = "APIKeyMissing"
    API_KEY_MALFORMED = "APIKeyMalformed"
    API_KEY_INVALID = "APIKeyInvalid"
    API_KEY_RESTRICTED = "APIKeyRestricted"
    IP_NOT_ALLOWED = "IPNotAllowed"
    ORGANIZATION_MISMATCH = "OrganizationMismatch"
    MODEL_ACCESS_DENIED = "ModelAccessDenied"
    MODEL_NOT_FOUND = "ModelNotFound"
    REGION_NOT_SUPPORTED = "RegionNotSupported"
    WRONG_BASE_URL = "WrongBaseURL"
    QUOTA_EXHAUSTED = "QuotaExhausted"
    RATE_LIMITED = "RateLimited"
    INPUT_REJECTED = "InputRejected"
    INVALID_RESPONSE = "InvalidResponse"
    REQUEST_TIMEOUT = "RequestTimeout"

    # content of one message (rows with log_level ERROR, status.pipeline.lastRejected)
    UNDECODABLE = "Undecodable"
    TOO_LARGE = "TooLarge"
    ROW_REJECTED = "RowRejected"

    # resource and pipeline
    NOT_ALLOWED = "NotAllowed"
    OFFSETS_OUT_OF_RANGE = "OffsetsOutOfRange"
    OFFSETS_EXPIRED = "OffsetsExpired"

    # warnings
    STATIC_CREDENTIALS_IN_USE = "StaticCredentialsInUse"
    NODE_ROLE_IN_USE = "NodeRoleInUse"
    GLOBAL_STS_ENDPOINT = "GlobalSTSEndpoint"
    PASSWORD_IN_USE = "PasswordInUse"  # noqa: S105
    CERTIFICATE_EXPIRES_SOON = "CertificateExpiresSoon"
    CREDENTIAL_REFRESH_FAILING = "CredentialRefreshFailing"
    INDEX_ABSENT = "IndexAbsent"
