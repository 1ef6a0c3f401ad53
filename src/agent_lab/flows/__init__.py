"""What a flow is, as data: configurations, conditions, prompt templates. Pure: no I/O, no clock."""
