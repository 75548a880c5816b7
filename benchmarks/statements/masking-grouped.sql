SELECT card, count(*) AS sales, sum(amount) AS total FROM sales GROUP BY card
