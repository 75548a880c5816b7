# expect: python.name 2 17
from sys import f_globals as found
