"""The ways to count ballots, one file for each."""
