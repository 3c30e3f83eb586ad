"""The console: see and steer a fleet from a terminal. The only package that knows Textual."""
