# expect: python.import 2 1
from . import helpers
