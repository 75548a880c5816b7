# expect: python.encoding 3 6
x = 1
y = "⁦abc"
