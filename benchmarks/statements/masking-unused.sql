SELECT city, count(*) AS sales, sum(amount) AS total FROM sales GROUP BY city
