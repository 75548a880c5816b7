CREATE TABLE sales AS
SELECT
  i AS id,
  'city ' || (hash(i) % 97) AS city,
  lpad(CAST(hash(i * 31) % 50000 AS VARCHAR), 16, '4') AS card,
  CAST(hash(i * 17) % 100000 / 100 AS DECIMAL(12, 2)) AS amount
FROM range(1000000) AS numbers(i)
