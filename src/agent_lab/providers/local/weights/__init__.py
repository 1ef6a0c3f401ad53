"""The weights files of local models: found, checked and fetched."""
