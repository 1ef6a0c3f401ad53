"""What executes a local model, one file for each engine."""
