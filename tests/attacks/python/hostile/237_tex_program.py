# category: charts
# must: must not start TeX
# expect: contained
# control: none
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
plt.rcParams['text.usetex'] = True
plt.title(r'\input{@@SECRET_FILE@@}')
plt.savefig('x.png')
result = 'ESCAPED tex'
