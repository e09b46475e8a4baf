"""Noise measured: exact moments, weak and strong orders, averages with their errors."""
