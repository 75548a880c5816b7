"""Plain data and seams: standard library only."""
