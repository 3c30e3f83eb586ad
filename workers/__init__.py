"""What a fleet does: supervised bots between their channels, their models and the store."""
