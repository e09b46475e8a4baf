"""Momentum methods beside the flows they follow: Kovachki and Stuart's theorems, measured."""
