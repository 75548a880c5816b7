# category: charts
# must: must not start a program to write a film
# expect: contained
# control: none
import matplotlib
matplotlib.use('Agg')
matplotlib.rcParams['animation.ffmpeg_path'] = '/bin/sh'
import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation, FFMpegWriter
f = plt.figure()
FuncAnimation(f, lambda i: [], frames=2).save('x.mp4', writer=FFMpegWriter())
result = 'ESCAPED started'
