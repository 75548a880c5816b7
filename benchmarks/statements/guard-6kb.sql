WITH seasons AS (
  SELECT b.playerID, b.yearID, b.teamID, b.lgID,
    sum(b.G) AS games, sum(b.AB) AS at_bats, sum(b.R) AS runs, sum(b.H) AS hits,
    sum(b."2B") AS doubles, sum(b."3B") AS triples, sum(b.HR) AS homers, sum(b.RBI) AS batted_in,
    sum(b.SB) AS stolen, sum(b.CS) AS caught, sum(b.BB) AS walks, sum(b.SO) AS strikeouts,
    sum(coalesce(b.HBP, 0)) AS hit_by_pitch, sum(coalesce(b.SF, 0)) AS sacrifices
  FROM batting AS b
  WHERE b.lgID IN ('AL', 'NL') AND b.yearID BETWEEN 1985 AND 2016
  GROUP BY b.playerID, b.yearID, b.teamID, b.lgID
),
rates AS (
  SELECT s.playerID, s.yearID, s.teamID, s.lgID, s.games, s.homers, s.batted_in,
    CASE WHEN s.at_bats > 0 THEN s.hits / s.at_bats ELSE NULL END AS average,
    CASE
      WHEN s.at_bats + s.walks + s.hit_by_pitch + s.sacrifices > 0
      THEN (s.hits + s.walks + s.hit_by_pitch) / (s.at_bats + s.walks + s.hit_by_pitch + s.sacrifices)
      ELSE NULL
    END AS on_base,
    CASE
      WHEN s.at_bats > 0
      THEN (s.hits + s.doubles + 2 * s.triples + 3 * s.homers) / s.at_bats
      ELSE NULL
    END AS slugging,
    CASE
      WHEN s.stolen + s.caught >= 20 THEN s.stolen / nullif(s.stolen + s.caught, 0)
      ELSE NULL
    END AS stealing,
    CASE
      WHEN s.homers >= 40 THEN 'slugger'
      WHEN s.stolen >= 40 THEN 'runner'
      WHEN s.walks >= 90 THEN 'patient'
      WHEN s.strikeouts >= 150 THEN 'free swinger'
      ELSE 'regular'
    END AS style
  FROM seasons AS s
  WHERE s.games >= 20
),
pay AS (
  SELECT sa.playerID, sa.yearID, sa.teamID, sum(sa.salary) AS earned, count(*) AS contracts
  FROM salaries AS sa
  WHERE sa.salary IS NOT NULL AND sa.yearID BETWEEN 1985 AND 2016
  GROUP BY sa.playerID, sa.yearID, sa.teamID
),
team_pay AS (
  SELECT p.yearID, p.teamID, p.players, p.total,
    rank() OVER (PARTITION BY p.yearID ORDER BY p.total DESC) AS place,
    p.total / nullif(sum(p.total) OVER (PARTITION BY p.yearID), 0) AS share
  FROM payroll AS p
  WHERE p.players > 15
),
bodies AS (
  SELECT pe.playerID, pe.nameLast, pe.birthYear, pe.birthCountry, pe.bats, pe.throws,
    pe.weight, pe.height, extract(year FROM pe.debut) AS first_year, extract(year FROM pe.finalGame) AS last_year,
    CASE
      WHEN pe.height IS NULL OR pe.weight IS NULL THEN 'unknown'
      WHEN pe.weight * 703.0 / (pe.height * pe.height) < 24 THEN 'light'
      WHEN pe.weight * 703.0 / (pe.height * pe.height) < 27 THEN 'middle'
      ELSE 'heavy'
    END AS build,
    CASE
      WHEN pe.birthCountry = 'USA' THEN 'home'
      WHEN pe.birthCountry IN ('D.R.', 'Venezuela', 'P.R.', 'Cuba', 'Mexico', 'Panama') THEN 'latin america'
      WHEN pe.birthCountry IN ('Japan', 'South Korea', 'Taiwan', 'Australia') THEN 'pacific'
      ELSE 'elsewhere'
    END AS region
  FROM people AS pe
  WHERE pe.debut IS NOT NULL
),
joined AS (
  SELECT bo.playerID, bo.nameLast, bo.birthYear, bo.region, bo.build, bo.bats, bo.throws,
    r.yearID, r.teamID, r.lgID, r.games, r.homers, r.batted_in, r.average, r.on_base, r.slugging, r.stealing, r.style,
    pay.earned, pay.contracts, tp.place, tp.share,
    r.yearID - bo.first_year AS experience,
    lag(pay.earned) OVER (PARTITION BY bo.playerID ORDER BY r.yearID) AS earned_before,
    row_number() OVER (PARTITION BY bo.playerID ORDER BY r.yearID, r.teamID) AS season,
    avg(r.on_base + r.slugging) OVER (
      PARTITION BY bo.playerID ORDER BY r.yearID ROWS BETWEEN 2 PRECEDING AND CURRENT ROW
    ) AS form
  FROM bodies AS bo
  JOIN rates AS r ON r.playerID = bo.playerID
  LEFT JOIN pay ON pay.playerID = r.playerID AND pay.yearID = r.yearID AND pay.teamID = r.teamID
  LEFT JOIN team_pay AS tp ON tp.yearID = r.yearID AND tp.teamID = r.teamID
),
banded AS (
  SELECT j.region, j.build, j.style, j.lgID, j.playerID, j.earned, j.earned_before, j.homers, j.form, j.share,
    CASE WHEN j.bats = j.throws THEN 'same' WHEN j.bats = 'B' THEN 'switch' ELSE 'mixed' END AS hands,
    CASE
      WHEN j.experience < 3 THEN 'rookie' WHEN j.experience < 7 THEN 'prime'
      WHEN j.experience < 12 THEN 'veteran' ELSE 'elder'
    END AS stage,
    CASE WHEN j.place <= 5 THEN 'rich' WHEN j.place <= 20 THEN 'middle' ELSE 'poor' END AS club
  FROM joined AS j
  WHERE j.average IS NOT NULL AND j.season <= 20
    AND NOT EXISTS (SELECT 1 FROM salaries AS z WHERE z.playerID = j.playerID AND z.salary = 0)
),
eras AS (
  SELECT y.yearID, y.players, y.total,
    CASE
      WHEN y.yearID < 1990 THEN 'the eighties' WHEN y.yearID < 2000 THEN 'the nineties'
      WHEN y.yearID < 2010 THEN 'the aughts' ELSE 'the tens'
    END AS era
  FROM (
    SELECT yearID, sum(players) AS players, sum(total) AS total FROM payroll GROUP BY yearID
  ) AS y
),
growth AS (
  SELECT e.era, min(e.yearID) AS since, max(e.yearID) AS until, sum(e.total) / nullif(sum(e.players), 0) AS per_head,
    max(e.total) FILTER (WHERE e.players > 500) AS peak,
    sum(e.total) - lag(sum(e.total)) OVER (ORDER BY min(e.yearID)) AS more_than_before
  FROM eras AS e
  GROUP BY e.era
)
SELECT b.region, b.build, b.style, b.lgID, b.hands, b.stage, b.club,
  count(*) AS seasons, count(DISTINCT b.playerID) AS players,
  round(avg(b.earned)) AS mean_pay, round(median(b.earned)) AS middle_pay,
  round(quantile_cont(b.earned, 0.9)) AS top_pay, round(stddev_samp(b.earned)) AS spread,
  round(avg(b.earned - b.earned_before)) AS mean_raise,
  sum(b.homers) AS homers, round(avg(b.form), 3) AS form, round(avg(b.share), 4) AS share,
  count(*) FILTER (WHERE b.earned > 10000000) AS stars,
  (SELECT max(g.per_head) FROM growth AS g) AS best_era,
  (SELECT string_agg(g.era, ', ' ORDER BY g.since) FROM growth AS g WHERE g.more_than_before > 0) AS growing,
  round(100.0 * count(*) FILTER (WHERE b.earned > b.earned_before) / nullif(count(b.earned_before), 0), 1) AS raised
FROM banded AS b
GROUP BY b.region, b.build, b.style, b.lgID, b.hands, b.stage, b.club
HAVING count(*) >= 10 AND count(DISTINCT b.playerID) >= 5
ORDER BY mean_pay DESC NULLS LAST, seasons DESC, b.region, b.build, b.style
LIMIT 200
