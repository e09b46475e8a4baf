"""Training: networks and their tasks under the optimizers that are compared."""
