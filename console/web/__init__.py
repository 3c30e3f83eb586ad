"""The HTTP face of a fleet: the unix socket now, REST on the same routes."""
