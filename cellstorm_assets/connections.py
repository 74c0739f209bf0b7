"""A run keeps its connections to the database, instead of making one for each event.

Dagster's own way outside of its pages is a new connection each time. One costs PostgreSQL a process
and a password check, some 10 ms on either side, and a recording writes hundreds of events.
"""

from typing import Any

import dagster as dg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, Pool

#: No statement of a run takes nearly so long, unless the database hangs.
_MOST_MS = 600_000
_RENEWED_AFTER_S = 600
#: Besides the one that is kept, for what runs at the same time.
_FURTHER = 4


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let this process keep one connection of each storage; a dead one is replaced.

    Storages that are files have none.
    """
    if not event.contains(Pool, "checkout", ask_whether_alive):
        event.listen(Pool, "checkout", ask_whether_alive)
    instance.optimize_for_webserver(
        statement_timeout=_MOST_MS, pool_recycle=_RENEWED_AFTER_S, max_overflow=_FURTHER
    )


def ask_whether_alive(connection: Any, _entry: ConnectionPoolEntry, _proxy: Any) -> None:
    """Ask a connection of a pool anything.

    Raises
    ------
    DisconnectionError
        When it gives no answer; SQLAlchemy takes a new one then.
    """
    try:
        cursor = connection.cursor()
        try:
            cursor.execute("SELECT 1")
        finally:
            cursor.close()
    except Exception as error:
        raise DisconnectionError(f"the connection to the database is lost: {error}") from error
