"""What becomes of a message before the model: who may speak, which commands there are, how much is too much."""
