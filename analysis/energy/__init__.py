"""Energy along a run: its decay, what theory predicts of it, who removed it, what is proved."""
