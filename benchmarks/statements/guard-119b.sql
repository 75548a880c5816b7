SELECT p.nameLast, s.salary FROM people p JOIN salaries s USING (playerID) WHERE s.yearID = 2016 ORDER BY s.salary DESC
