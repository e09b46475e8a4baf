"""Noise: parts that take normal numbers, and the dynamics at a temperature made of them."""
