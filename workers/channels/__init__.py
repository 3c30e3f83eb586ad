"""Where messages come from and answers go: one protocol, one file per channel."""
