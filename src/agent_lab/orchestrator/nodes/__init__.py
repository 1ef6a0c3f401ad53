"""What a node of a flow can do, one file for each type."""
