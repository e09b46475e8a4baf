"""What a kernel is made from: parts, words and landscapes, recorded as expressions."""
