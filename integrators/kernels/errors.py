"""Why there is no kernel."""


class NoKernelError(RuntimeError):
    """No kernel can be made for something; it says why. The torch path runs it."""
