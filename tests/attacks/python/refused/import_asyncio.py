# expect: python.import 2 8
import asyncio
