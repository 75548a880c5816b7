# category: process
# must: must not change the limits of another process
# expect: contained
# control: run
import resource
resource.prlimit(@@AGENT_PID@@, resource.RLIMIT_NOFILE, (16, 16))
result = 'ESCAPED changed limits'
