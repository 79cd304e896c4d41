"""Reasons of PostgreSQL on RDS: TLS, the IAM login, the database, the table."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

ENTRIES = (
    Entry(
        Reason.TLS_REFUSED, Rung.TLS, Kind.REFUSED, Healer.DATABASE,
        "{host}:{port} is PostgreSQL but refuses TLS, which IAM authentication needs.",
        "Turn TLS on in the server (ssl = on); on RDS it always is, so check that {host} is the RDS endpoint.",
    ),
    Entry(
        Reason.IAM_AUTHENTICATION_FAILED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "RDS refuses the IAM token for user {user} (PAM authentication failed). From here that is one of: no "
        "rds-db:connect, another resource id, or a host that is an alias.",
        "Allow rds-db:connect on {dbuser_arn} for {principal}; check that POSTGRES_HOST is the instance's own "
        "endpoint, AWS_REGION ({region}) its region, and {user} spelt as in the database.",
    ),
    Entry(
        Reason.IAM_NOT_GRANTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DATABASE,
        "The database takes the IAM token for a password: user {user} lacks rds_iam, or IAM authentication is off.",
        "GRANT rds_iam TO {user};  and enable IAM database authentication on the instance.",
    ),
    Entry(
        Reason.PASSWORD_REJECTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "The database does not accept the password of user {user}.",
        "Correct POSTGRES_PASSWORD, or use IAM: POSTGRESQL_USE_IAM_AUTH=true and GRANT rds_iam TO {user};",
    ),
    Entry(
        Reason.LOGIN_NOT_PERMITTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DATABASE,
        "The role {user} is not permitted to log in.",
        "ALTER ROLE {user} LOGIN;",
    ),
    Entry(
        Reason.HOST_REJECTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DATABASE,
        "The server has no pg_hba entry for user {user}, database {database} from this address.",
        "Allow it in pg_hba.conf (on RDS: check rds.force_ssl and the user's name).",
    ),
    Entry(
        Reason.DATABASE_NOT_FOUND, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "The database {database} does not exist.",
        "CREATE DATABASE {database};  or correct POSTGRES_DB.",
    ),
    Entry(
        Reason.CONNECT_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "User {user} may not connect to database {database}.",
        "GRANT CONNECT ON DATABASE {database} TO {user};",
    ),
    Entry(
        Reason.TOO_MANY_CONNECTIONS, Rung.AUTHENTICATION, Kind.TRANSIENT, Healer.DATABASE,
        "The database has no connection slot left.",
        "Raise max_connections, close idle clients, or put RDS Proxy in front.",
    ),
    Entry(
        Reason.DATABASE_STARTING, Rung.AUTHENTICATION, Kind.TRANSIENT, Healer.TIME,
        "The database is starting, stopping or failing over.",
        "Passes by itself.",
    ),
    Entry(
        Reason.READ_ONLY_DATABASE, Rung.OPERATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "The database at {host} is read-only: a replica, or default_transaction_read_only.",
        "Set POSTGRES_HOST to the writer endpoint.",
    ),
    Entry(
        Reason.CREATE_TABLE_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "The table demo_log does not exist and user {user} may not create it.",
        "GRANT CREATE ON SCHEMA public TO {user};  or create the table as in the README.",
    ),
    Entry(
        Reason.TABLE_MISMATCH, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "The table demo_log is not the expected one: {detail}.",
        "Rename the present table: ALTER TABLE demo_log RENAME TO demo_log_old;  it is then created anew.",
    ),
    Entry(
        Reason.INSERT_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "User {user} may not insert into demo_log.",
        "GRANT INSERT ON demo_log TO {user}; GRANT USAGE ON SEQUENCE demo_log_id_seq TO {user};",
    ),
    Entry(
        Reason.IDENTIFIERS_EXHAUSTED, Rung.OPERATION, Kind.REFUSED, Healer.DATABASE,
        "The ids of demo_log are used up (its SERIAL is 32 bits).",
        "Empty the table: TRUNCATE demo_log RESTART IDENTITY;",
    ),
    Entry(
        Reason.STORAGE_FULL, Rung.OPERATION, Kind.REFUSED, Healer.DATABASE,
        "The database's storage is full.",
        "Raise the allocated storage (or turn storage autoscaling on), or delete old rows of demo_log.",
    ),
    Entry(
        Reason.SERVICE_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "The database answers with an error of its own (SQLSTATE {sqlstate}).",
        "Look at the database's log if this lasts.",
    ),
    Entry(
        Reason.REQUEST_TIMEOUT, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "The database did not answer within {limit} s.",
        "Look for locks on demo_log and at the instance's load; or raise spec.timeoutSeconds.",
    ),
    Entry(
        Reason.PASSWORD_IN_USE, Rung.CONFIGURATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "PostgreSQL is used with a password, not with IAM.",
        "POSTGRESQL_USE_IAM_AUTH=true, and GRANT rds_iam TO {user};",
    ),
)  # fmt: skip
