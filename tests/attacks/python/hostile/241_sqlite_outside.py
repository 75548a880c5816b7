# category: filesystem-write
# must: must not make or read a database outside with sqlite3
# expect: contained
# control: run
import sqlite3
c = sqlite3.connect('@@OUT_DIR@@/pwned.sqlite')
c.execute('create table t(x)')
c.commit()
result = 'ESCAPED'
