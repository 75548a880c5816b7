# expect: python.syntax 2 8
SELECT region FROM orders
