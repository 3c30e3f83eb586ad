"""How one message becomes one answer."""
