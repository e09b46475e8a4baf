"""The deepest minima of atomic clusters: quenching, annealing, basin hopping, and a picture."""
