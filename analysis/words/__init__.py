"""All words of a dynamics that are different methods, and what is known of each."""
