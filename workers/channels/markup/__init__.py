"""Markdown, as models write it, made into text and entities, in parts a message takes."""

from workers.channels.markup.answer import Part, render

__all__ = ["Part", "render"]
