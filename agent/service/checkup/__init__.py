"""What is looked at around the agent, one file a subject; each gives findings, raises nothing and changes nothing."""
