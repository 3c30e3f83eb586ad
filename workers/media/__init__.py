"""Pictures, voices and documents made into what a model understands."""
