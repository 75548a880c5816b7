# expect: python.name 2 4
df.__𝐜𝐥𝐚𝐬𝐬__
