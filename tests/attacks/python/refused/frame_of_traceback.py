# expect: python.name 5 21
try:
    1/0
except Exception as e:
    e.__traceback__.tb_frame
