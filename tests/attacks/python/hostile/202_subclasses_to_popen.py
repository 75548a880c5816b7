# category: introspection
# must: must not start a program found among the subclasses of object
# expect: contained
# control: run
import subprocess
p = [c for c in object.__subclasses__() if c.__name__ == 'Popen'][0]
result = p(['cat', '@@SECRET_FILE@@'], stdout=-1).communicate()[0].decode()
