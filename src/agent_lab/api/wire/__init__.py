"""What travels over HTTP: one file for each group of requests and answers."""
