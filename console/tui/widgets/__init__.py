"""Widgets of the console, by what they draw."""
