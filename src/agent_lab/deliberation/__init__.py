"""How roles deliberate, as pure functions: what each sees, how answers are compared."""
