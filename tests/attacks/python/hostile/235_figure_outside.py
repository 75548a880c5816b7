# category: charts
# must: must not save a figure outside
# expect: contained
# control: run
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.savefig('@@OUT_DIR@@/pwned.png')
result = 'ESCAPED figure'
