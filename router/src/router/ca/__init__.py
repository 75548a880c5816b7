"""The Router's own certificate authority: it says who an agent is on a connection, and nothing about results."""
