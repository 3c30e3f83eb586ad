"""Panels of the bot screen, one file each."""
