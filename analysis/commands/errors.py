"""What a command says when it cannot be carried out."""


class BadCallError(ValueError):
    """A call that cannot be carried out, told in one line."""
