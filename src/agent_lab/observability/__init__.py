"""Logs, and keeping secrets out of them."""
