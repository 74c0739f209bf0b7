"""A run keeps its connections to the database, and replaces those that are lost."""

import dagster as dg
import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool, QueuePool

from cellstorm_assets.connections import ask_whether_alive, keep_connections


@pytest.fixture(autouse=True)
def forget_listener():
    yield
    if event.contains(Pool, "checkout", ask_whether_alive):
        event.remove(Pool, "checkout", ask_whether_alive)


def engine() -> sqlalchemy.Engine:
    return sqlalchemy.create_engine("sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0)


def kept_connection(pooled: sqlalchemy.Engine):
    """Return the connection itself, which lies in the pool again."""
    with pooled.connect() as connection:
        return connection.connection.dbapi_connection


def test_a_lost_connection_is_replaced() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keep_connections(instance)
    pooled = engine()
    lost = kept_connection(pooled)
    assert kept_connection(pooled) is lost
    lost.close()
    with pooled.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 7")).scalar() == 7
    assert kept_connection(pooled) is not lost
    pooled.dispose()


def test_without_asking_it_would_be_used() -> None:
    pooled = engine()
    kept_connection(pooled).close()
    with pytest.raises(sqlalchemy.exc.ProgrammingError), pooled.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 7"))
    pooled.dispose()


def test_it_says_what_is_lost() -> None:
    pooled = engine()
    lost = kept_connection(pooled)
    lost.close()
    with pytest.raises(DisconnectionError, match="the database is lost: Cannot operate"):
        ask_whether_alive(lost, None, None)
    pooled.dispose()


def test_it_asks_once() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keep_connections(instance)
        keep_connections(instance)
    pooled, asked = engine(), []
    kept_connection(pooled).set_trace_callback(asked.append)
    kept_connection(pooled)
    assert asked == ["SELECT 1"]
    pooled.dispose()


def test_files_work_as_before(tmp_path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        keep_connections(instance)

        @dg.asset
        def one() -> int:
            return 1

        assert dg.materialize([one], instance=instance).success
        assert instance.get_latest_materialization_event(one.key) is not None
