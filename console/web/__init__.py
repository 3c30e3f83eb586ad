"""The control socket's HTTP side: one FastAPI app on uvicorn, imported after the fleet is ready."""
