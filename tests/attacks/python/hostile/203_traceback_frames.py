# category: introspection
# must: must not reach the runner's globals through a traceback and read the secret with them
# expect: contained
# control: run
try:
    1 / 0
except ZeroDivisionError as e:
    tb = e.__traceback__
f = tb.tb_frame
while f.f_back:
    f = f.f_back
b = f.f_builtins
result = b['open']('@@SECRET_FILE@@').read()
