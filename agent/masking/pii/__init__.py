"""The second net: personal data and secrets in the rows of a result, found by their form."""
