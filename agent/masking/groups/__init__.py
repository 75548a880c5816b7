"""Rows of people leave only in groups of at least k: docs/adr/0009-groups-count-people.md."""
