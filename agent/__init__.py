"""Meridyen sandbox agent: runs SQL that an LLM wrote, next to data that must not leave."""

__version__ = "0.1.0"
