# category: filesystem-read
# must: must not read the extended attributes of a file outside
# expect: contained
# control: run
import os
result = os.getxattr('@@SECRET_FILE@@', 'user.secret').decode()
