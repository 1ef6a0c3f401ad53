"""Votes that are counted: ballots in, a tally out, by pure functions."""
