# expect: python.construct 2 1
breakpoint()
