"""Rules that end a deliberation, one file for each."""
