# category: network
# must: must not connect by asyncio
# expect: contained
# control: run
import asyncio
async def go():
    r, w = await asyncio.open_connection('127.0.0.1', @@TCP_PORT@@)
    w.write(b'leak')
    await w.drain()
asyncio.run(go())
result = 'ESCAPED'
