# category: proc-read
# must: must not make itself the last that the machine kills
# expect: contained
# control: run
open('/proc/self/oom_score_adj', 'w').write('0')
result = 'ESCAPED oom score'
