# expect: python.import 2 8
import requests
result = requests.get("http://x").json()
