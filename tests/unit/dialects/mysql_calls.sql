SELECT coalesce(NULL, 's', 'b')
SELECT elt(2, 'a', 'b')
SELECT export_set(5, 'Y', 'N', ',', 4)
SELECT export_set(5, 'Y', 'N')
SELECT field('b', 'a', 'b')
SELECT find_in_set('b', 'a,b')
SELECT greatest(1, 2, 3)
SELECT if(1 > 2, 'x', 'y')
SELECT ifnull(NULL, 3)
SELECT isnull(NULL)
SELECT least(4, 2)
SELECT make_set(5, 'a', 'b', 'c')
SELECT nullif(1, 1)
SELECT nullif(2, 1)
SELECT nvl(NULL, 3)
SELECT nvl2(NULL, 3, 4)
SELECT abs(-5)
SELECT acos(0.5)
SELECT asin(0.5)
SELECT atan(0.5)
SELECT atan(1, 2)
SELECT atan2(1, 2)
SELECT ceil(1.2)
SELECT ceiling(-1.2)
SELECT conv('ff', 16, 10)
SELECT cos(1)
SELECT cot(1)
SELECT crc32('a')
SELECT crc32c('a')
SELECT degrees(3)
SELECT exp(2)
SELECT floor(-1.5)
SELECT ln(10)
SELECT log(10)
SELECT log(2, 65536)
SELECT log(10, 1000)
SELECT log2(8)
SELECT log10(1000)
SELECT log2(536870912)
SELECT mod(10, 3)
SELECT mod(-10, 3)
SELECT mod(10.5, 3)
SELECT 5 % 3
SELECT 5 MOD 3
SELECT -5 DIV 2
SELECT 5 / 2
SELECT 5.0 / 2
SELECT 1 / 0
SELECT 7 DIV 2.5
SELECT pi()
SELECT pow(2, 8)
SELECT power(2, 0.5)
SELECT radians(180)
SELECT round(1.25, 1)
SELECT round(1.5)
SELECT round(1234.5, -2)
SELECT sign(-3)
SELECT sin(1)
SELECT sqrt(2)
SELECT tan(1)
SELECT truncate(1.999, 1)
SELECT truncate(1999, -2)
SELECT bit_count(7)
SELECT ascii('a')
SELECT bin(12)
SELECT bit_length('aü')
SELECT char(77, 121)
SELECT char(77 USING utf8mb4)
SELECT char_length('aü')
SELECT character_length('aü')
SELECT chr(77)
SELECT concat('a', 'b', 1)
SELECT concat('a', NULL)
SELECT concat_ws(',', 'a', NULL, 'b')
SELECT format(1234567.891, 2)
SELECT format(1234567.891, 2, 'de_DE')
SELECT from_base64('YWJj')
SELECT hex('abc')
SELECT hex(255)
SELECT insert('Quadratic', 3, 4, 'What')
SELECT instr('foobar', 'bar')
SELECT lcase('ABC')
SELECT left('abc', 2)
SELECT length('aü')
SELECT lengthb('aü')
SELECT locate('b', 'abcb')
SELECT locate('b', 'abcb', 3)
SELECT lower('ABC')
SELECT lpad('hi', 4, '?')
SELECT lpad('hi', 4)
SELECT ltrim('  a')
SELECT md5('a')
SELECT mid('abcdef', 2, 3)
SELECT natural_sort_key('a10')
SELECT oct(12)
SELECT octet_length('aü')
SELECT ord('ü')
SELECT position('b' IN 'abc')
SELECT quote('a''b')
SELECT regexp_instr('abc', 'b')
SELECT 'abc' REGEXP 'B'
SELECT 'abc' RLIKE '^b'
SELECT 'abc' NOT REGEXP 'b'
SELECT NOT 'abc' REGEXP 'b'
SELECT NULL REGEXP 'b'
SELECT 'abc' REGEXP BINARY 'B'
SELECT 'a' 'b'
SELECT regexp_replace('abc', 'b', 'x')
SELECT regexp_replace('abc', '(b)', '\\1\\1')
SELECT regexp_substr('abc', '[bc]+')
SELECT repeat('ab', 3)
SELECT replace('abc', 'b', 'x')
SELECT reverse('abc')
SELECT right('abc', 2)
SELECT rpad('hi', 5, '?')
SELECT rtrim('a  ')
SELECT sha('a')
SELECT sha1('a')
SELECT sha2('a', 256)
SELECT sha2('a', 512)
SELECT soundex('Hello')
SELECT 'a' SOUNDS LIKE 'b'
SELECT space(3)
SELECT strcmp('a', 'b')
SELECT substr('abcdef', 2)
SELECT substr('abcdef', 2, 3)
SELECT substring('abcdef', -3, 2)
SELECT substring('abcdef' FROM 2 FOR 2)
SELECT substring_index('a.b.c', '.', 2)
SELECT substring_index('a.b.c', '.', -1)
SELECT to_base64('abc')
SELECT trim('  a ')
SELECT trim(BOTH 'x' FROM 'xxaxx')
SELECT trim(LEADING 'x' FROM 'xxaxx')
SELECT trim(TRAILING 'x' FROM 'xxaxx')
SELECT trim('x' FROM 'xxaxx')
SELECT ucase('a')
SELECT upper('a')
SELECT hex(unhex('4D'))
SELECT hex(weight_string('a'))
SELECT inet_aton('10.0.0.1')
SELECT inet_ntoa(167772161)
SELECT hex(inet6_aton('::1'))
SELECT inet6_ntoa(inet6_aton('::1'))
SELECT is_ipv4('1.2.3.4')
SELECT is_ipv6('::1')
SELECT is_ipv4_compat(inet6_aton('::1'))
SELECT is_ipv4_mapped(inet6_aton('::ffff:1.2.3.4'))
SELECT add_months('2024-01-31', 1)
SELECT adddate('2024-01-31', 5)
SELECT adddate('2024-01-31', INTERVAL 5 HOUR)
SELECT addtime('2024-01-31 10:00:00', '1:00:00')
SELECT convert_tz('2024-01-01 12:00:00', '+00:00', '+03:00')
SELECT date('2024-01-31 10:00:00')
SELECT date_add('2024-01-31', INTERVAL 1 MONTH)
SELECT date_add('2024-01-31', INTERVAL '1:30' MINUTE_SECOND)
SELECT date_add('2024-01-31', INTERVAL -1 DAY)
SELECT date_add('2024-01-31', INTERVAL 1 + 1 DAY)
SELECT date_add('2024-01-31', INTERVAL '1-2' YEAR_MONTH)
SELECT date_add('2024-01-31', INTERVAL '1 2' DAY_HOUR)
SELECT date_add('2024-01-31', INTERVAL 1 QUARTER)
SELECT date_add('2024-01-31', INTERVAL 1 WEEK)
SELECT date_add('2024-01-31', INTERVAL 1 MICROSECOND)
SELECT '2024-01-31' + INTERVAL 1 DAY
SELECT '2024-01-31' - INTERVAL 1 YEAR
SELECT date_format('2024-03-05 14:07:09.000123', '%a %b %c %D %d %e %f %H %h %I %i %j %k %l %M %m %p %r %S %s %T %U %u %V %v %W %w %X %x %Y %y %%')
SELECT date_format('2024-03-05 14:07:09', '%H:%i:%s')
SELECT date_format('2024-03-05 14:07:09', '%d/%m/%Y %H:%i')
SELECT date_format('2024-03-05', '%M %e, %Y')
SELECT date_format('2024-03-05', '%x-W%v')
SELECT date_format('2024-03-05', '%Y-Q')
SELECT date_format('2024-03-05', 'T%T%%T')
SELECT date_sub('2024-01-31', INTERVAL 1 DAY)
SELECT datediff('2024-03-01', '2024-02-01')
SELECT day('2024-01-31')
SELECT dayname('2024-01-31')
SELECT dayofmonth('2024-01-31')
SELECT dayofweek('2024-01-31')
SELECT dayofyear('2024-03-31')
SELECT extract(YEAR FROM '2024-03-31')
SELECT extract(QUARTER FROM '2024-03-31')
SELECT extract(YEAR_MONTH FROM '2024-03-31')
SELECT extract(DAY_MINUTE FROM '2024-03-31 10:11:12')
SELECT extract(WEEK FROM '2024-03-31')
SELECT from_days(738000)
SELECT from_unixtime(1700000000)
SELECT from_unixtime(1700000000, '%Y-%m-%d %H:%i:%s')
SELECT from_unixtime(1700000000.5)
SELECT hour('10:11:12')
SELECT last_day('2024-02-03')
SELECT makedate(2024, 60)
SELECT maketime(10, 11, 12)
SELECT microsecond('10:11:12.5')
SELECT minute('10:11:12')
SELECT month('2024-02-03')
SELECT monthname('2024-02-03')
SELECT period_add(202401, 3)
SELECT period_diff(202403, 202401)
SELECT quarter('2024-05-01')
SELECT sec_to_time(3700)
SELECT second('10:11:12')
SELECT str_to_date('05/03/2024', '%d/%m/%Y')
SELECT str_to_date('March 5 2024 02:07 PM', '%M %e %Y %h:%i %p')
SELECT str_to_date('2024-03-05 14:07:09', '%Y-%m-%d %H:%i:%s')
SELECT str_to_date('14:07:09', '%T')
SELECT str_to_date('240305', '%y%m%d')
SELECT str_to_date('20243', '%X%V')
SELECT subdate('2024-01-31', 5)
SELECT subtime('2024-01-31 10:00:00', '1:00:00')
SELECT time('2024-01-31 10:00:00')
SELECT time_format('10:11:12', '%H h %i')
SELECT time_to_sec('10:11:12')
SELECT timediff('10:11:12', '09:00:00')
SELECT timestamp('2024-01-31')
SELECT timestamp('2024-01-31', '10:00:00')
SELECT timestampadd(MONTH, 1, '2024-01-31')
SELECT timestampadd(MINUTE, -5, '2024-01-31')
SELECT timestampdiff(MONTH, '2024-01-31', '2024-05-01')
SELECT timestampdiff(SECOND, '2024-01-31', '2024-05-01')
SELECT timestampdiff(WEEK, '2024-01-31', '2024-05-01')
SELECT timestampdiff(QUARTER, '2024-01-31', '2024-05-01')
SELECT timestampdiff(MICROSECOND, '2024-01-31', '2024-02-01')
SELECT to_char('2024-01-31')
SELECT to_days('2024-01-31')
SELECT to_seconds('2024-01-31')
SELECT unix_timestamp('2024-01-31')
SELECT unix_timestamp('2024-01-31 10:00:00')
SELECT week('2024-02-03')
SELECT week('2024-02-03', 3)
SELECT weekday('2024-02-03')
SELECT weekofyear('2024-02-03')
SELECT year('2024-02-03')
SELECT yearweek('2024-02-03')
SELECT yearweek('2024-02-03', 1)
SELECT utc_date() = current_date()
SELECT current_date = curdate()
SELECT cast(now() AS CHAR) <= cast(sysdate() AS CHAR)
SELECT now() = current_timestamp
SELECT now() = localtime()
SELECT now() = localtimestamp()
SELECT now() = localtimestamp
SELECT utc_timestamp() = now()
SELECT utc_time() = curtime()
SELECT current_time() = current_time
SELECT char_length(now(6))
SELECT char_length(curtime(3))
SELECT char_length(current_timestamp(6))
SELECT json_array(1, 'a', NULL)
SELECT json_array_append('[1]', '$', 2)
SELECT json_array_insert('[1]', '$[0]', 2)
SELECT json_compact('{"a": 1}')
SELECT json_contains('{"a": 1}', '1', '$.a')
SELECT json_contains('{"a": 1}', '{"a": 1}')
SELECT json_contains_path('{"a": 1}', 'one', '$.a', '$.b')
SELECT json_depth('[1]')
SELECT json_detailed('[1]')
SELECT json_equals('[1]', '[1]')
SELECT json_exists('{"a": 1}', '$.a')
SELECT json_extract('{"a": {"b": [1, 2]}}', '$.a.b[1]')
SELECT json_extract('{"a": {"b": [1, 2]}}', '$.a', '$.c')
SELECT json_extract('{"a b": 1}', '$."a b"')
SELECT json_extract('{"a": [1,2]}', '$.a[*]')
SELECT json_extract('{"a": [1,2]}', '$**.a')
SELECT json_extract('[1,2,3]', '$[last]')
SELECT json_insert('{"a": 1}', '$.b', 2)
SELECT json_keys('{"a": 1}')
SELECT json_length('[1,2]')
SELECT json_length('{"a": [1,2]}', '$.a')
SELECT json_loose('[1]')
SELECT json_merge('[1]', '[2]')
SELECT json_merge_patch('{"a": 1}', '{"a": 2}')
SELECT json_merge_preserve('[1]', '[2]')
SELECT json_normalize('{"b": 1, "a": 2}')
SELECT json_object('a', 1, 'b', 'x')
SELECT json_object()
SELECT json_overlaps('[1]', '[1]')
SELECT json_pretty('[1]')
SELECT json_query('{"a": {"b": 1}}', '$.a')
SELECT json_quote('a')
SELECT json_remove('{"a": 1}', '$.a')
SELECT json_replace('{"a": 1}', '$.a', 2)
SELECT json_search('{"a": "x"}', 'one', 'x')
SELECT json_set('{"a": 1}', '$.a', 2)
SELECT json_type('[1]')
SELECT json_unquote('"a"')
SELECT json_unquote(json_extract('{"a": "x"}', '$.a'))
SELECT json_valid('[1]')
SELECT json_value('{"a": 1}', '$.a')
SELECT 'a' LIKE 'A'
SELECT 'a' LIKE BINARY 'A'
SELECT 'a%' LIKE 'a\%'
SELECT 'ab' LIKE 'a\%'
SELECT 'a_b' LIKE 'a|_b' ESCAPE '|'
SELECT 'a' NOT LIKE 'b'
SELECT 1 <=> NULL
SELECT NULL <=> NULL
SELECT 1 XOR 1
SELECT 1 AND NULL
SELECT 0 OR NULL
SELECT NOT 0
SELECT ! 0
SELECT 1 && 0
SELECT 1 || 0
SELECT 'a' || 'b'
SELECT ~ 5
SELECT 5 & 3
SELECT 5 | 3
SELECT 5 ^ 3
SELECT 1 << 4
SELECT 256 >> 4
SELECT 1 = 1.0
SELECT '1a' + 1
SELECT 'abc' = 'ABC'
SELECT BINARY 'abc' = 'ABC'
SELECT 'abc' COLLATE utf8mb4_bin = 'ABC'
SELECT 2 BETWEEN 1 AND 3
SELECT 2 NOT BETWEEN 1 AND 3
SELECT 2 IN (1, 2)
SELECT 2 NOT IN (1, NULL)
SELECT (1, 2) = (1, 2)
SELECT (1, 2) IN (SELECT 1, 2)
SELECT 1 IS TRUE
SELECT 0 IS NOT FALSE
SELECT NULL IS UNKNOWN
SELECT NULL IS NOT UNKNOWN
SELECT 1 IS NOT NULL
SELECT cast('12abc' AS SIGNED)
SELECT cast('12' AS UNSIGNED)
SELECT cast('12' AS UNSIGNED INTEGER)
SELECT cast(12.5 AS CHAR)
SELECT cast('abc' AS CHAR(2))
SELECT cast('12.345' AS DECIMAL(10, 2))
SELECT cast('12.6' AS DECIMAL)
SELECT cast('2024-01-01 10:00:00.5' AS DATE)
SELECT cast('2024-01-01 10:00:00.5' AS DATETIME)
SELECT cast('2024-01-01 10:00:00.5' AS DATETIME(3))
SELECT cast('10:00:00.5' AS TIME)
SELECT cast('10:00:00.5' AS TIME(2))
SELECT hex(cast('abc' AS BINARY))
SELECT hex(cast('abc' AS BINARY(5)))
SELECT cast('1.5' AS DOUBLE)
SELECT cast('1.5' AS FLOAT)
SELECT convert('12', SIGNED)
SELECT convert('ab' USING utf8mb4)
SELECT convert('12.345', DECIMAL(10, 2))
SELECT convert('2024-01-01', DATETIME)
SELECT convert('a', CHAR)
SELECT DATE '2024-01-01'
SELECT TIMESTAMP '2024-01-01 10:00:00'
SELECT TIME '10:00:00'
SELECT TRUE + TRUE
SELECT 1e3
SELECT .5
SELECT 1.
SELECT 'it''s'
SELECT 'it\'s'
SELECT 'a\\b'
SELECT 'tab\there'
SELECT 'nl\nhere'
SELECT '\Z' = char(26)
SELECT '\b' = char(8)
SELECT '\0' = char(0)
SELECT "double"
SELECT "dou""ble"
SELECT 'a\qb'
SELECT N'x'
SELECT _utf8mb4'x'
SELECT CASE 1 WHEN 1 THEN 'a' ELSE 'b' END
SELECT CASE WHEN 1 > 2 THEN 'a' END
SELECT EXISTS (SELECT 1)
SELECT 1 = ANY (SELECT 1)
SELECT 1 > ALL (SELECT 0)
SELECT (SELECT 1 FROM DUAL)
SELECT - - 5
SELECT -(-5)
SELECT 1 - -1
SELECT 10 - 3 - 2
SELECT 2 * (3 + 4)
SELECT NOT 1 = 2
SELECT ! 1 = 2
SELECT 1 = 2 IS NULL
SELECT 5 DIV 2 * 2
SELECT -2 % 3
SELECT 1 + 2 || 0
SELECT 'a' = 'a '
SELECT '2024-01-01' < DATE '2024-01-02'
SELECT count(*) FROM t
SELECT count(v) FROM t
SELECT count(DISTINCT v, g) FROM t
SELECT sum(v) FROM t
SELECT sum(DISTINCT v) FROM t
SELECT avg(v) FROM t
SELECT min(v) FROM t
SELECT max(s) FROM t
SELECT std(v) FROM t
SELECT stddev(v) FROM t
SELECT stddev_pop(v) FROM t
SELECT stddev_samp(v) FROM t
SELECT variance(v) FROM t
SELECT var_pop(v) FROM t
SELECT var_samp(v) FROM t
SELECT bit_and(v) FROM t
SELECT bit_or(v) FROM t
SELECT bit_xor(v) FROM t
SELECT group_concat(s) FROM t
SELECT group_concat(DISTINCT s ORDER BY s DESC SEPARATOR ';') FROM t
SELECT group_concat(s, v ORDER BY v) FROM t
SELECT group_concat(s, '-', v ORDER BY v, s DESC SEPARATOR '|') FROM t
SELECT json_arrayagg(v) FROM t
SELECT json_objectagg(s, v) FROM t
SELECT id, row_number() OVER (PARTITION BY g ORDER BY id) FROM t ORDER BY id
SELECT id, rank() OVER (ORDER BY v) FROM t ORDER BY id
SELECT id, dense_rank() OVER (ORDER BY v DESC) FROM t ORDER BY id
SELECT id, percent_rank() OVER (ORDER BY v) FROM t ORDER BY id
SELECT id, cume_dist() OVER (ORDER BY v) FROM t ORDER BY id
SELECT id, ntile(2) OVER (ORDER BY id) FROM t ORDER BY id
SELECT id, lag(v) OVER (ORDER BY id) FROM t ORDER BY id
SELECT id, lag(v, 2) OVER (ORDER BY id) FROM t ORDER BY id
SELECT id, lead(v, 1) OVER (PARTITION BY g ORDER BY id) FROM t ORDER BY id
SELECT id, first_value(v) OVER (ORDER BY id) FROM t ORDER BY id
SELECT id, last_value(v) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM t ORDER BY id
SELECT id, nth_value(v, 2) OVER (ORDER BY id) FROM t ORDER BY id
SELECT id, sum(v) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t ORDER BY id
SELECT id, sum(v) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM t ORDER BY id
SELECT id, avg(v) OVER (PARTITION BY g) FROM t ORDER BY id
SELECT id, count(*) OVER () FROM t ORDER BY id
SELECT id, median(v) OVER (PARTITION BY g) FROM t ORDER BY id
SELECT id, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) OVER (PARTITION BY g) FROM t ORDER BY id
SELECT id, percentile_disc(0.5) WITHIN GROUP (ORDER BY v) OVER (PARTITION BY g) FROM t ORDER BY id
SELECT id, sum(v) OVER w FROM t WINDOW w AS (ORDER BY id) ORDER BY id
SELECT interval(5, 1, 10)
SELECT rand(5)
