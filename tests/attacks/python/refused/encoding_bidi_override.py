# expect: python.encoding 2 3
# ‮ evil
x = 1
