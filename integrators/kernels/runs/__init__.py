"""Kernels that move many trajectories through many steps."""
