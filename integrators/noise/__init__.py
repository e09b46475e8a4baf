"""Counter-based noise: Philox, and what a word draws from it."""
