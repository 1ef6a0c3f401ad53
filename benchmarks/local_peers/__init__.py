"""What the benchmark of local models consists of: children that answer, and what is asked of them.

A child is a process of its own with one model, because an engine's threads and its settings are a
process's. A section measures one thing and tells it.
"""
