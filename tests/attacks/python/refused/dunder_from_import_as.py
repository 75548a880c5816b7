# expect: python.name 2 17
from sys import __loader__ as found
