# expect: python.name 2 27
from json import loads as __builtins__
