# category: resource
# must: outputs must be bounded in number and size
# expect: contained
# control: none
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
for n in range(60):
    plt.figure()
    plt.plot([1, 2])
result = 'figures'
