# category: filesystem-write
# must: must not make pipes, sockets, links or folders outside
# expect: contained
# control: run
import os
for what in (lambda: os.mkfifo('@@OUT_DIR@@/pwned_fifo'), lambda: os.symlink('x', '@@OUT_DIR@@/pwned_link'), lambda: os.mkdir('@@OUT_DIR@@/pwned_dir'), lambda: os.mknod('@@OUT_DIR@@/pwned_node')):
    try:
        what()
    except OSError:
        pass
result = ''
