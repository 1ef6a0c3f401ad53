"""The lab over HTTP: wiring and wire formats, no domain logic."""
