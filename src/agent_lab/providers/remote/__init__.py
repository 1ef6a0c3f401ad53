"""Models that run elsewhere, asked over HTTP."""
