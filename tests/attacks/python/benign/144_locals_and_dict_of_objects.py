class Config:
    def __init__(self, **kwargs):
        self.__dict__.update(kwargs)

    def to_dict(self):
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}


def scope():
    a, b = 1, 2
    return sorted(locals())


config = Config(top=3, name="x", _hidden=1)
if "config" in locals():
    shown = config.to_dict()
result = {"shown": shown, "scope": scope(), "module": Config.__module__, "name": __name__}
