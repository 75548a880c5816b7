# category: resource
# must: one huge text must not pass the limit
# expect: contained
# control: run
text = 'x' * (1 << 20)
while True:
    text += text
