class Account:
    __slots__ = ("_balance", "owner")
    _rate = 0.02

    def __init__(self, owner, balance=0.0):
        self.owner = owner
        self.balance = balance

    @property
    def balance(self):
        return self._balance

    @balance.setter
    def balance(self, value):
        if value < 0:
            raise ValueError("negative")
        self._balance = value

    @staticmethod
    def parse(text):
        name, _, amount = text.partition(":")
        return Account(name, float(amount))

    @classmethod
    def rate(cls):
        return cls._rate


a = Account.parse("ann:10")
a.balance += 5
a.balance *= 2
try:
    a.balance = -1
except ValueError as e:
    problem = str(e)
setattr(a, "owner", getattr(a, "owner").title())
result = {"balance": a.balance, "rate": Account.rate(), "problem": problem, "owner": a.owner, "has": hasattr(a, "missing"), "default": getattr(a, "missing", 0)}
