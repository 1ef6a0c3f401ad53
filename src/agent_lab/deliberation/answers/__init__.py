"""Answers as votes see them: what was answered, in a form in which equal answers are equal."""
