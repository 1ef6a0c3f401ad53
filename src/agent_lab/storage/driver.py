"""Statements that go to the driver as they are, where what is done around each would be dearer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError


@contextmanager
def driver_cursor(connection: Connection) -> Iterator[DBAPICursor]:
    """The driver's own cursor, in the transaction of a connection.

    Raises:
        DBAPIError: Whatever the driver says, as the connection itself would raise it.
    """
    own, dialect = connection.connection, connection.dialect
    try:
        with closing(own.cursor()) as cursor:  # even this fails where the driver knows of a loss
            yield cursor
    except dialect.loaded_dbapi.Error as error:
        has_gone = dialect.is_disconnect(error, own.dbapi_connection, None)
        if has_gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            None,
            None,
            error,
            dialect.loaded_dbapi.Error,
            connection_invalidated=has_gone,
            dialect=dialect,
        ) from error


@contextmanager
def driver_transaction(connection: Connection) -> Iterator[DBAPICursor]:
    """A transaction that writes, by the driver's own cursor.

    After an error the connection is to be closed: that ends the transaction.
    """
    dialect = connection.dialect
    with driver_cursor(connection) as cursor:
        if dialect.name == "sqlite":
            cursor.execute("BEGIN IMMEDIATE")
        yield cursor
        dialect.do_commit(connection.connection)
