# expect: python.import 3 8
import pandas as pd
import socket as pd2
