"""PostgreSQL by asyncpg: the table ``demo_log``, and probes of everything on the way to a row in it.

The only place that imports asyncpg.
"""

from connectivity_operator.adapters.postgresql.row_log import PostgresRowLog

__all__ = ["PostgresRowLog"]
