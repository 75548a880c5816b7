import contextvars
import copy
import gc
import weakref
from types import MappingProxyType, SimpleNamespace


class Node:
    def __init__(self, value):
        self.value = value
        self.children = []

    def __copy__(self):
        return Node(self.value)


node = Node([1])
deep = copy.deepcopy(node)
deep.value.append(2)
ref = weakref.ref(node)
alive = ref() is node
gc.collect()
state = SimpleNamespace(a=1)
state.b = state.a + 1
var = contextvars.ContextVar("v", default=3)
frozen = MappingProxyType({"k": 1})
result = {"node": node.value, "deep": deep.value, "alive": alive, "b": state.b, "var": var.get(), "frozen": frozen["k"], "copy": copy.copy(node).value}
