# expect: python.construct 2 1
async def f():
    async for x in y:
        pass
