# expect: python.import 2 6
from concurrent.futures.process import ProcessPoolExecutor
