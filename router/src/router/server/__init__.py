"""The calls of the protocol over HTTPS: who calls is read from the connection, never from what it says."""
