"""One gateway to every model, local and remote."""
