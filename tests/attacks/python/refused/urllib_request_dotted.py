# expect: python.import 2 8
import urllib.request
