SELECT city, count(*) AS sales, sum(amount) AS total, max(card) AS card FROM sales GROUP BY city
