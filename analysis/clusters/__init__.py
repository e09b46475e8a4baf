"""Atomic clusters: quenches, annealing, basin hopping, pictures."""
