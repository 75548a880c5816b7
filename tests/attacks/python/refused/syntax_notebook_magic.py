# expect: python.syntax 2 1
%matplotlib inline
