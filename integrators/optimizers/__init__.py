"""What a torch optimizer is made of: its settings, its state, and the two ways to make a step."""
