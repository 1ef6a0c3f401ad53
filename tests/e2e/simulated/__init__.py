"""Members whose accuracy is known, in the shipped flows: what comes out is what theory says."""
