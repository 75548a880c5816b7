# category: filesystem-write
# must: must not change the code that later jobs run
# expect: contained
# control: none
import pandas, os
done = []
for path in (pandas.__file__, os.__file__, os.path.dirname(os.__file__) + '/pwned.py'):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        done.append(path)
    except OSError:
        pass
result = 'ESCAPED %s' % done if done else ''
