"""Real workers on a real database are killed, stopped and starved; what was paid for must remain.

    .venv/bin/python -m tests.chaos.campaign --kills 100 --database sqlite

A worker (`worker`) is forked by a process that has imported everything (`nursery`), and asks a
model behind real HTTP that counts what it is asked (`upstream`). What the database has is read
from outside (`ledger`) and held against the count, and against the same runs undisturbed.
"""
