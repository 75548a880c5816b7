# expect: python.name 3 3
g = (x for x in [1])
g.gi_frame
