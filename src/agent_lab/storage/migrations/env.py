"""Alembic's entry: runs the steps on the connection that `schema` opened."""

from alembic import context

from agent_lab.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
