"""Gradient noise of networks, and the stochastic equations that model it."""
