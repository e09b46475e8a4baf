"""Momentum methods as flows, and the closed forms of their modified equations."""
