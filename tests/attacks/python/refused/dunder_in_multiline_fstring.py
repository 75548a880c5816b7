# expect: python.name 4 8
x = f"""
text
see {y.__globals__} more
"""
