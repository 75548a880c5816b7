# expect: python.syntax 2 1
```python
result = 1
```
