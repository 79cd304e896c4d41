"""Reasons of PostgreSQL on RDS: TLS, the IAM login, the database, the table."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import EVERYTHING, Entry, Healer, Variant
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

_BUNDLE = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
ENTRIES = (
    Entry(
        Reason.TLS_REFUSED, Rung.TLS, Kind.REFUSED, Healer.DATABASE,
        "{host}:{port} is PostgreSQL but refuses TLS, which IAM authentication needs.",
        "Turn TLS on in the server (ssl = on); on RDS it always is, so check that {host} is the RDS endpoint.",
    ),
    Entry(
        Reason.CERTIFICATE_UNTRUSTED, Rung.TLS, Kind.REFUSED, Healer.DEPLOYMENT,
        "The certificate of {host}:{port} is signed by an authority that is not trusted here[[ ({issuer})]].",
        f"RDS has authorities of its own: curl -O {_BUNDLE}  Mount that file and set POSTGRES_CA_FILE to it (the "
        "chart: --set-file trust.rdsBundle=global-bundle.pem). For any other authority use its certificate.",
    ),
    Entry(
        Reason.IAM_AUTHENTICATION_FAILED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "The database refuses the IAM token of {principal} for user {user} (PAM authentication failed), and says no "
        "more. From here that is one of: {host} is an alias, while tokens are good only for RDS's own name; a region "
        "other than {region}; no rds-db:connect for this user on this resource id; an explicit deny.",
        "Set POSTGRES_HOST to the endpoint that RDS shows (aws rds describe-db-instances --query "
        "'DBInstances[].Endpoint.Address'). Then allow rds-db:connect on {dbuser_arn} for {principal}." + EVERYTHING,
        (
            Variant(
                "endpoint_region",
                message="RDS refuses the IAM token of {principal} for user {user} (PAM authentication failed), and "
                "says no more. Host and region of the token are right, so what is left is: no rds-db:connect for this "
                "user on this resource id, or an explicit deny.",
                remedy="Allow rds-db:connect on {dbuser_arn} for {principal}. If that is allowed, compare the resource "
                "id (aws rds describe-db-instances --query 'DBInstances[].[DBInstanceIdentifier,DbiResourceId]'), look "
                f"for a deny, and read the log iam-db-auth-error in CloudWatch.{EVERYTHING}",
            ),
        ),
    ),
    Entry(
        Reason.IAM_NOT_GRANTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DATABASE,
        "The database takes the IAM token for a password. From here that is one of: user {user} lacks rds_iam, does "
        "not exist (names are case-sensitive), or IAM authentication is off.",
        "GRANT rds_iam TO {user!q};  If there is no such role, first: CREATE ROLE {user!q} LOGIN;  If it is granted, "
        "turn IAM on: aws rds modify-db-instance --db-instance-identifier <instance> "
        "--enable-iam-database-authentication --apply-immediately  (Aurora: modify-db-cluster "
        "--db-cluster-identifier <cluster>)",
    ),
    Entry(
        Reason.RDS_PROXY_SECRET_MISSING, Rung.AUTHENTICATION, Kind.REFUSED, Healer.AWS,
        "The RDS Proxy at {host} has no credentials for user {user}: it lists a Secret for each user that it lets in.",
        "Make a Secret in Secrets Manager with username and password of {user}, let the proxy's role read it "
        "(secretsmanager:GetSecretValue), and name it together with the present ones: aws rds modify-db-proxy "
        "--db-proxy-name <proxy> --auth AuthScheme=SECRETS,IAMAuth=REQUIRED,SecretArn=<ARN of the Secret>  Or let the "
        "proxy log in by IAM, which needs no Secret: aws rds modify-db-proxy --db-proxy-name <proxy> "
        "--default-auth-scheme IAM_AUTH",
    ),
    Entry(
        Reason.PASSWORD_REJECTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "The database does not accept the password of user {user}: it is wrong, or the user does not exist.",
        "Correct POSTGRES_PASSWORD, or use IAM: POSTGRESQL_USE_IAM_AUTH=true and GRANT rds_iam TO {user!q};",
        (
            Variant(
                "cause", ("rds_iam",),
                message="User {user} has rds_iam, which takes no password, only IAM tokens.",
                remedy="Set POSTGRESQL_USE_IAM_AUTH=true and restart the operator; or REVOKE rds_iam FROM {user!q};",
            ),
        ),
    ),
    Entry(
        Reason.LOGIN_NOT_PERMITTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DATABASE,
        "The role {user} does not exist or is not permitted to log in.",
        "ALTER ROLE {user!q} LOGIN;  Or, if there is no such role: CREATE ROLE {user!q} LOGIN; GRANT rds_iam TO "
        "{user!q};",
    ),
    Entry(
        Reason.HOST_REJECTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DATABASE,
        "The server has no pg_hba entry for user {user}, database {database} from this address.",
        "Allow it in pg_hba.conf: hostssl {database} {user} <network of the pods> scram-sha-256 (on RDS: check "
        "rds.force_ssl and the user's name).",
    ),
    Entry(
        Reason.DATABASE_NOT_FOUND, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "The database {database} does not exist.",
        "CREATE DATABASE {database!q};  Or correct POSTGRES_DB.",
    ),
    Entry(
        Reason.CONNECT_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "User {user} may not connect to database {database}.",
        "GRANT CONNECT ON DATABASE {database!q} TO {user!q};",
        (
            Variant(
                "sqlstate", ("55000",),
                message="The database {database} takes no connections.",
                remedy="ALTER DATABASE {database!q} ALLOW_CONNECTIONS true;",
            ),
        ),
    ),
    Entry(
        Reason.TOO_MANY_CONNECTIONS, Rung.AUTHENTICATION, Kind.TRANSIENT, Healer.DATABASE,
        "The database has no connection slot left for user {user}.",
        "See who holds them: SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2;  Close idle "
        "clients, raise max_connections, or put RDS Proxy in front.",
        (
            Variant(
                "cause", ("role",),
                message="The connection limit of user {user} is reached; the server has room.",
                remedy="ALTER ROLE {user!q} CONNECTION LIMIT -1;  (or a larger limit)",
            ),
            Variant(
                "cause", ("database",),
                message="The connection limit of database {database} is reached; the server has room.",
                remedy="ALTER DATABASE {database!q} CONNECTION LIMIT -1;  (or a larger limit)",
            ),
        ),
    ),
    Entry(
        Reason.DATABASE_STARTING, Rung.AUTHENTICATION, Kind.TRANSIENT, Healer.TIME,
        "The database is starting, stopping or failing over.",
        "Passes by itself; if it lasts: aws rds describe-events --source-type db-instance --duration 60",
    ),
    Entry(
        Reason.READ_ONLY_DATABASE, Rung.OPERATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "The database at {host} is read-only: a replica, or default_transaction_read_only.",
        "Set POSTGRES_HOST to the writer endpoint. If it is: ALTER DATABASE {database!q} RESET "
        "default_transaction_read_only;",
        (
            Variant(
                "cause", ("replica",),
                message="The database at {host} is a read-only replica.",
                remedy="Set POSTGRES_HOST to the writer endpoint and restart the operator.",
            ),
            Variant(
                "cause", ("setting",),
                message="Sessions of user {user} in database {database} are read-only "
                "(default_transaction_read_only); the server is no replica.",
                remedy="ALTER ROLE {user!q} RESET default_transaction_read_only; ALTER DATABASE {database!q} RESET "
                "default_transaction_read_only;",
            ),
        ),
    ),
    Entry(
        Reason.SCHEMA_USAGE_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "User {user} may use no schema of its search path, so it neither finds the table demo_log nor can create it.",
        "GRANT USAGE ON SCHEMA public TO {user!q};",
    ),
    Entry(
        Reason.CREATE_TABLE_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "The table demo_log does not exist and user {user} may not create it.",
        "GRANT CREATE ON SCHEMA public TO {user!q};  Or create the table yourself, by the statements that "
        "`connectivity-operator permissions` prints.",
    ),
    Entry(
        Reason.TABLE_MISMATCH, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "The table demo_log is not the expected one[[: {detail}]].",
        "Rename the present table: ALTER TABLE demo_log RENAME TO demo_log_old;  It is then created anew.",
    ),
    Entry(
        Reason.INSERT_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "User {user} may not insert into demo_log.",
        "GRANT INSERT ON demo_log TO {user!q};",
        (
            Variant(
                "cause", ("row security",),
                message="The row security of demo_log does not let user {user} insert.",
                remedy="CREATE POLICY connectivity_test ON demo_log FOR INSERT TO {user!q} WITH CHECK (true);",
            ),
        ),
    ),
    Entry(
        Reason.SEQUENCE_USAGE_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.DATABASE,
        "User {user} may insert into demo_log, but not draw the row's id from its sequence.",
        "GRANT USAGE ON SEQUENCE {sequence!q} TO {user!q};",
    ),
    Entry(
        Reason.ROW_REJECTED, Rung.OPERATION, Kind.REFUSED, Healer.DATABASE,
        "The database refuses the values of a good row[[ (SQLSTATE {sqlstate})]]: a constraint or a trigger of "
        "demo_log is not ours.",
        "See what was added: SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
        "'demo_log'::regclass; SELECT tgname FROM pg_trigger WHERE tgrelid = 'demo_log'::regclass;  Drop it: ALTER "
        "TABLE demo_log DROP CONSTRAINT <name>;",
    ),
    Entry(
        Reason.IDENTIFIERS_EXHAUSTED, Rung.OPERATION, Kind.REFUSED, Healer.DATABASE,
        "The ids of demo_log are used up (its SERIAL is 32 bits).",
        "Empty the table, which deletes its rows: TRUNCATE demo_log RESTART IDENTITY;",
    ),
    Entry(
        Reason.STORAGE_FULL, Rung.OPERATION, Kind.REFUSED, Healer.DATABASE,
        "The database's storage is full.",
        "Raise the storage: aws rds modify-db-instance --db-instance-identifier <instance> --allocated-storage <GiB> "
        "--max-allocated-storage <GiB> --apply-immediately  Or delete old rows of demo_log and VACUUM it.",
    ),
    Entry(
        Reason.SERVICE_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "The database answers with an error of its own[[ (SQLSTATE {sqlstate})]].",
        "Look at the database's log if this lasts.",
    ),
    Entry(
        Reason.REQUEST_TIMEOUT, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "The database did not answer within its limit[[ of {limit} s]].",
        "See what waits for locks: SELECT pid, wait_event_type, state, query FROM pg_stat_activity WHERE "
        "wait_event_type = 'Lock';  Look at the instance's load; or raise spec.timeoutSeconds.",
        (
            Variant(
                "cause", ("login",),
                message="{host}:{port} accepts connections, but did not answer the login within {limit} s.",
                remedy="Look at the instance's load and its number of connections. If these are low, large packets may "
                "be lost on the way: an IAM token has some thousand bytes. Lower the MTU of the pods (or of the VPN or "
                "peering on the way), and let ICMP fragmentation needed pass network ACLs and security groups.",
            ),
            Variant(
                "sqlstate", ("57014", "55P03"),
                message="The database itself cancels what takes longer than its own limit (statement_timeout or "
                "lock_timeout).",
                remedy="Raise the limit, or take it off: ALTER ROLE {user!q} RESET statement_timeout; ALTER ROLE "
                "{user!q} RESET lock_timeout;  (or the same of the database, or of the instance's parameter group)",
            ),
        ),
    ),
    Entry(
        Reason.PASSWORD_IN_USE, Rung.CONFIGURATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "PostgreSQL is used with a password, not with IAM.",
        "POSTGRESQL_USE_IAM_AUTH=true, and GRANT rds_iam TO {user!q};",
    ),
)  # fmt: skip
