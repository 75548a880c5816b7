# expect: python.import 2 6
from numpy import f2py
