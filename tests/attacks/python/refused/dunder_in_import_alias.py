# expect: python.name 2 16
import json as __builtins__
