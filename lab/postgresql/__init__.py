"""The lab's RDS: a real PostgreSQL that takes IAM tokens as passwords, as RDS does.

`hostssl` lines only, a certificate of a private authority, members of `rds_iam` authenticated through PAM by
lab-iam, everyone else by password. `lab.postgresql.control` looks into it and changes it for tests and faults.
"""

from __future__ import annotations

from lab.postgresql.control import MASTER_PASSWORD, admin_dsn, psql
from lab.postgresql.part import PostgreSQL

__all__ = ["MASTER_PASSWORD", "PostgreSQL", "admin_dsn", "psql"]
