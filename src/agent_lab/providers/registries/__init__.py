"""Models and strategies as data."""
