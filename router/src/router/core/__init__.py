"""What the Router knows about jobs, agents and sessions: plain types and the rules between them. No I/O."""
