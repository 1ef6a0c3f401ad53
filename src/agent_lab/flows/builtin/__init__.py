"""The shipped flows, one JSON file each."""
