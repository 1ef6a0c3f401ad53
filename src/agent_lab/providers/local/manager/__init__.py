"""Which local models are in memory, and who uses them."""
