"""What a fleet is told to be: TOML files in, one validated snapshot out."""
