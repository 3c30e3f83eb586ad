"""The tables of a bot file and of fleet.toml, a module a theme; `config/schema.py` puts them together."""
