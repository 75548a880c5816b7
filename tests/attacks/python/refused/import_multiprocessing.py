# expect: python.import 2 6
from multiprocessing import Pool
