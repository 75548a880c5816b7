-- changes
INSERT INTO orders (id) VALUES (1)
UPDATE orders SET amount = 0
DELETE FROM orders
MERGE INTO orders USING customers ON orders.id = customers.id WHEN MATCHED THEN UPDATE SET amount = 0
TRUNCATE TABLE orders
CREATE TABLE x (id INTEGER)
CREATE TABLE x AS SELECT * FROM orders
CREATE VIEW x AS SELECT * FROM orders
CREATE FUNCTION f() RETURNS INT LANGUAGE SQL AS 'SELECT 1'
ALTER TABLE orders ADD COLUMN x INTEGER
DROP TABLE orders
GRANT SELECT ON orders TO PUBLIC
REVOKE SELECT ON orders FROM PUBLIC
COMMENT ON TABLE orders IS 'x'
VACUUM
ANALYZE
-- sessions
SET x = 1
SET ROLE admin
RESET ALL
USE other
BEGIN
COMMIT
ROLLBACK
CALL p()
EXECUTE p
EXECUTE IMMEDIATE 'SELECT 1'
SHOW TABLES
DESCRIBE orders
PRAGMA table_info('orders')
KILL 1
LOCK TABLE orders
DECLARE x INT
DO $$ BEGIN END $$
ATTACH 'x.db'
COPY orders TO '/tmp/x'
LOAD DATA INFILE '/etc/passwd' INTO TABLE orders
-- more than one statement
SELECT 1; SELECT 2
SELECT id FROM orders; DROP TABLE orders
-- comments that engines read
SELECT /*! 1 */ id FROM orders
SELECT /*+ MAX_EXECUTION_TIME(1) */ id FROM orders
SELECT /*M! 1 */ id FROM orders
SELECT id FROM orders /* not closed
SELECT id FROM orders WHERE status = 'not closed
-- into, locks
SELECT id INTO x FROM orders
SELECT id FROM orders FOR UPDATE
SELECT * FROM orders INTO OUTFILE '/tmp/x'
-- files
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_parquet('/x')
SELECT * FROM file('/etc/passwd')
SELECT * FROM s3('https://h/k', 'CSV')
SELECT * FROM OPENROWSET(BULK '/x', SINGLE_CLOB)
SELECT * FROM EXTERNAL_QUERY('c', 'SELECT 1')
SELECT * FROM csv_scan('/x')
SELECT * FROM 'file.csv'
SELECT load_file('/etc/passwd')
SELECT pg_read_file('/etc/passwd')
SELECT lo_import('/etc/passwd')
SELECT bfilename('d', 'f')
SELECT readfile('/etc/passwd')
-- networks, shells, other statements
SELECT * FROM url('http://h/', 'CSV', 'a String')
SELECT * FROM remote('h', 'db', 't')
SELECT * FROM dblink('host=h', 'SELECT 1')
SELECT * FROM postgres_scan('host=h', 'public', 't')
SELECT * FROM query('SELECT 1')
SELECT query_to_xml('SELECT 1', true, true, '')
SELECT http_get('http://h/')
SELECT utl_http.request('http://h/')
SELECT xp_cmdshell('id')
SELECT sys_eval('id')
SELECT java_method('java.lang.System', 'getenv')
SELECT ai_query('m', name) FROM customers
SELECT load_extension('/x')
-- time and load
SELECT sleep(10)
SELECT pg_sleep(10)
SELECT benchmark(100000000, 1)
SELECT sleepEachRow(1)
SELECT dbms_lock.sleep(1)
-- settings, users, sessions
SELECT current_setting('x')
SELECT set_config('x', 'y', false)
SELECT getvariable('x')
SELECT getSetting('x')
SELECT sys_context('USERENV', 'SESSION_USER')
SELECT pg_backend_pid()
SELECT connection_id()
SELECT hostname()
SELECT secret('a', 'b')
SELECT nextval('s')
SELECT orders_seq.nextval FROM orders
SELECT @@version
-- errors that tell
SELECT raise_error(ssn) FROM customers
SELECT throwIf(ssn LIKE '9%') FROM customers
SELECT error(ssn) FROM customers
SELECT assert_true(ssn LIKE '9%') FROM customers
-- qualified and quoted calls
SELECT main.upper(name) FROM customers
SELECT app.f(name) FROM customers
SELECT a.b.c.d(name) FROM customers
SELECT unknown_function(name) FROM customers
-- relations
SELECT * FROM missing
SELECT * FROM other.orders
SELECT * FROM a.b.c.orders
SELECT * FROM information_schema.tables
SELECT * FROM pg_catalog.pg_user
SELECT * FROM mysql.user
SELECT * FROM sys.user$
SELECT * FROM system.users
SELECT * FROM sqlite_master
WITH x AS (SELECT * FROM missing) SELECT 1 FROM orders
SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM missing)
SELECT id FROM orders WHERE id IN (SELECT id FROM missing)
SELECT (SELECT max(id) FROM missing) FROM orders
WITH x AS (DELETE FROM orders RETURNING id) SELECT * FROM x
-- parameters of other kinds
SELECT id FROM orders WHERE id = ?
SELECT id FROM orders WHERE id = :missing
-- words that are no columns
SELECT meridyen_x FROM orders
