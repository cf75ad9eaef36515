"""Antiphon: a workflow server that takes turns. Start at `bootstrap` for the wiring, at `engine` for what happens."""
