# expect: python.construct 3 1
x = 1
async def f():
    return 1
