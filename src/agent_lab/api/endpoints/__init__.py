"""What can be asked over HTTP: one router a file."""
