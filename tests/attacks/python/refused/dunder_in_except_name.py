# expect: python.name 4 22
try: pass
except Exception as e: pass
except ValueError as __import__: pass
