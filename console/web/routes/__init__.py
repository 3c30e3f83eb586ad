"""One file per family of routes, all below /v1."""
