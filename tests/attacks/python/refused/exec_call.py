# expect: python.construct 2 1
exec("import os")
