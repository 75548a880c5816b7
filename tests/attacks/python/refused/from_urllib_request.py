# expect: python.import 2 6
from urllib import request
