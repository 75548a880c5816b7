# expect: python.construct 2 5
x = ｅｖａｌ("1")
