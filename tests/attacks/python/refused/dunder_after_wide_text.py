# expect: python.name 2 12
("ä€😀", df.__code__)
