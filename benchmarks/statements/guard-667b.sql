WITH pay AS (
  SELECT playerID, yearID, sum(salary) AS earned
  FROM salaries
  WHERE yearID BETWEEN 2000 AND 2016
  GROUP BY playerID, yearID
),
play AS (
  SELECT playerID, yearID, sum(HR) AS homers, sum(AB) AS bats
  FROM batting
  WHERE lgID IN ('AL', 'NL')
  GROUP BY playerID, yearID
)
SELECT p.birthCountry, count(DISTINCT p.playerID) AS players,
  round(avg(pay.earned)) AS mean_pay,
  round(100.0 * sum(play.homers) / nullif(sum(play.bats), 0), 2) AS rate
FROM people AS p
JOIN pay ON pay.playerID = p.playerID
JOIN play ON play.playerID = pay.playerID AND play.yearID = pay.yearID
GROUP BY p.birthCountry
HAVING count(*) > 9
ORDER BY mean_pay DESC
LIMIT 5
