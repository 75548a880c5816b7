"""The Task Router."""
