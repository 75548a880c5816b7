# expect: python.construct 2 1
async def f(): return [x async for x in y]
