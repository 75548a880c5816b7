# expect: python.import 2 8
import agent.guard.python
