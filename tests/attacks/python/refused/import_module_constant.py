# expect: python.import 3 29
import importlib
s =importlib.import_module("socket")
