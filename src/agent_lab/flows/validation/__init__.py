"""The rules that a flow must keep, by what they look at; `flow_validator` applies them all."""
