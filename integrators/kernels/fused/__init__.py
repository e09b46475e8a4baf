"""Kernels for one step of a torch optimizer."""
