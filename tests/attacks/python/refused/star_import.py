# expect: python.construct 2 1
from math import *
