# expect: python.import 2 1
from ..agent import guard
