-- Two tables of people, one of things, and views over them.
CREATE TABLE customers (id INTEGER, name VARCHAR, city VARCHAR, salary DECIMAL(12,2), bonus INTEGER, born DATE);
CREATE TABLE visits (patient INTEGER, ward VARCHAR, reason INTEGER, cost DECIMAL(12,2));
CREATE TABLE products (id INTEGER, label VARCHAR, kind INTEGER);
CREATE VIEW v_customers AS SELECT id, name AS who, city AS who_city, salary AS pay FROM customers WHERE salary > 0;
CREATE VIEW v_deep AS SELECT who, who_city AS city FROM v_customers;
CREATE VIEW v_odd AS SELECT city, CASE WHEN id = 7 THEN salary ELSE 1 END AS odd FROM customers;
CREATE VIEW v_top AS SELECT name FROM customers ORDER BY salary DESC LIMIT 1;
CREATE VIEW v_grouped AS SELECT city, count(*) AS n FROM customers GROUP BY city;
