"""`serinus demo`."""


def command() -> None:
    """The demo."""
