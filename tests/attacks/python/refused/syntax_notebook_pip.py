# expect: python.syntax 2 1
!pip install pandas
