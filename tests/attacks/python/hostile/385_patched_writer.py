# category: forging
# must: the runner's own functions replaced must harm nobody else
# expect: contained
# control: none
import sys
for name, module in list(sys.modules.items()):
    if name.startswith('agent.'):
        for key, value in list(vars(module).items()):
            if callable(value) and not isinstance(value, type) and getattr(value, '__module__', '').startswith('agent'):
                try:
                    setattr(module, key, lambda *a, **k: 'FORGED')
                except (AttributeError, TypeError):
                    pass
result = 'patched'
