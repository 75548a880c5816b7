from abc import ABC, abstractmethod


class Metric(ABC):
    registry = []

    def __init__(self, name, **options):
        super().__init__()
        self.name = name
        self._options = options
        self.__cache = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        Metric.registry.append(cls.__name__)

    @abstractmethod
    def compute(self, frame): ...

    def __call__(self, frame):
        if self.__cache is None:
            self.__cache = self.compute(frame)
        return self.__cache

    def __repr__(self):
        return f"<{self.__class__.__name__} {self.name!r}>"


class Total(Metric):
    def compute(self, frame):
        return float(frame["amount"].sum())


class Scaled(Total):
    def compute(self, frame):
        return super().compute(frame) * self._options.get("factor", 1)


metrics = [Total("total"), Scaled("scaled", factor=2)]
result = {repr(m): m(df) for m in metrics} | {"registry": Metric.registry, "kind": type(metrics[0]).__name__}
