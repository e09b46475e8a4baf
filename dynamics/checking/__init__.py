"""Does a part keep its word? Its flow, its rate and its declarations compared."""
