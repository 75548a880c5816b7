-- plain
SELECT id, status FROM orders
SELECT * FROM orders
SELECT o.* FROM orders o
SELECT DISTINCT status FROM orders
SELECT id AS number_of FROM orders WHERE amount > 100
SELECT id FROM orders WHERE status = 'it''s' AND amount <> 5
SELECT id FROM orders WHERE status IN ('paid', 'open') AND NOT (amount BETWEEN 1 AND 5)
SELECT id FROM orders WHERE product LIKE 'l%' AND status IS NOT NULL
SELECT id FROM orders ORDER BY amount DESC, id
SELECT -amount, amount + 1, amount - 1, amount * 2, amount / 3 FROM orders
-- functions that all have
SELECT UPPER(name), LOWER(city), LENGTH(name), REPLACE(name, 'a', 'b') FROM customers
SELECT COALESCE(notes, city, 'x'), NULLIF(city, '') FROM customers
SELECT ABS(amount), ROUND(amount, 1), FLOOR(amount) FROM orders
SELECT CASE WHEN amount > 100 THEN 'big' WHEN amount > 50 THEN 'middle' ELSE 'small' END AS size_of FROM orders
SELECT CASE status WHEN 'paid' THEN 1 ELSE 0 END AS paid FROM orders
SELECT CAST(amount AS INTEGER) FROM orders
-- groups
SELECT COUNT(*), COUNT(DISTINCT customer_id), SUM(amount), AVG(amount), MIN(amount), MAX(amount) FROM orders
SELECT status, COUNT(*) AS n FROM orders GROUP BY status HAVING COUNT(*) > 1 ORDER BY n DESC
SELECT status, product, SUM(amount) FROM orders GROUP BY status, product
-- joins
SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id
SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.status = 'paid'
SELECT c.name, o.id FROM customers c, orders o WHERE o.customer_id = c.id
SELECT c.name FROM customers c CROSS JOIN orders o
SELECT e.name, m.name AS boss FROM employees e LEFT JOIN employees m ON m.id = e.manager_id
SELECT c.name, SUM(o.amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name
-- sub-queries
SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE country = 'DE')
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)
SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)
SELECT x.status, x.n FROM (SELECT status, COUNT(*) AS n FROM orders GROUP BY status) x WHERE x.n > 1
SELECT id, (SELECT MAX(amount) FROM orders) AS most FROM orders
-- with
WITH paid AS (SELECT * FROM orders WHERE status = 'paid') SELECT customer_id, SUM(amount) AS s FROM paid GROUP BY customer_id
WITH a AS (SELECT id FROM orders), b AS (SELECT id FROM a) SELECT COUNT(*) FROM b
WITH orders_of AS (SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id) SELECT c.name, o.n FROM customers c JOIN orders_of o ON o.customer_id = c.id
-- set operations
SELECT city FROM customers UNION ALL SELECT department FROM employees
SELECT id FROM customers INTERSECT SELECT customer_id FROM orders
SELECT id FROM customers EXCEPT SELECT customer_id FROM orders
-- windows
SELECT id, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY order_date DESC) AS rn FROM orders
SELECT id, SUM(amount) OVER (PARTITION BY customer_id ORDER BY order_date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders
SELECT id, RANK() OVER (ORDER BY amount DESC) AS r, LAG(amount) OVER (ORDER BY id) AS before_it FROM orders
SELECT rn FROM (SELECT ROW_NUMBER() OVER (ORDER BY id) AS rn FROM orders) x WHERE rn <= 3
-- protected columns, which read as their masks
SELECT name, ssn, email FROM customers
SELECT COUNT(*) FROM customers WHERE ssn LIKE '9%'
SELECT MAX(salary) FROM employees
SELECT c.name FROM customers c JOIN employees e ON e.ssn = c.ssn
SELECT name FROM customers ORDER BY dob
-- views
SELECT * FROM v_orders
SELECT contact FROM v_contacts
SELECT u FROM v_deep WHERE k = 1
