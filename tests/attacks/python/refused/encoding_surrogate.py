# expect: python.encoding 2 6
x = "í²€"
