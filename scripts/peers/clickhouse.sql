-- The question of `overstay audit`, for ClickHouse. scripts/peers/peer.py runs the parts;
-- only the part `query` is timed.
--
-- $LOG and $TABLES stand for paths, other words behind a $ for the ids of verdicts. Ids instead of names, and one
-- number for all that a row of the answer is about, keep hash tables small.
--
-- Tried on 4 M calls, seconds of two cores' time (so compared because the machine was not idle):
--   as it stands here                                             5.5–6.0
--   ts read as String, parseDateTime64BestEffort                  5.5–6.2
--   extractGroups in place of splitByChar                         6.4
--   LEFT JOIN with a range in place of the as-of join             6.4
--   client_id and method as LowCardinality                        10.1
--   uniqExact; uniqCombined in place of uniq                      0.5–1.3; 0.3–0.7 more
-- and on another log of as many calls, of which the as-of join took 5.6:
--   dictionaries (RANGE_HASHED for the timeline)                  6.2
--   one pass with GROUPING SETS in place of a table of calls      6.6, and 0.4 GB more memory
-- uniq is off by at most 0.3 % in any row.

-- part: tables

CREATE TABLE credentials ENGINE = Memory AS
SELECT * FROM file('$TABLES/credentials.csv', CSVWithNames, 'credential String, partner UInt32, begins_us Int64,
  next_us Int64, valid_from_us Int64, valid_until_us Int64');

CREATE TABLE apis ENGINE = Memory AS
SELECT * FROM file('$TABLES/apis.csv', CSVWithNames, 'name String, api UInt32, open UInt8, propagation_us Int64');

CREATE TABLE timeline ENGINE = Memory AS
SELECT * FROM file('$TABLES/timeline.csv', CSVWithNames, 'slot UInt32, from_us Int64, until_us Int64, verdict UInt8');

-- part: query

CREATE TABLE calls ENGINE = Memory AS
WITH logged AS (
  SELECT
    toUnixTimestamp64Micro(ts) AS at_us,
    client_id,
    splitByChar('/', path) AS segments,
    segments[3] AS api_name,
    if(segments[4] = 'users', sipHash64(segments[5]), 0) AS subject,
    multiIf(method IN ('GET', 'HEAD', 'OPTIONS'), 0, method IN ('POST', 'PUT', 'PATCH'), 1, method = 'DELETE', 2, 3)
      AS operation,
    multiIf(status BETWEEN 100 AND 399, 0, status IN (401, 403, 407, 451), 1, status > 0, 2, 3) AS outcome,
    bytes,
    latency_us
  FROM file('$LOG', JSONEachRow, 'ts DateTime64(6, \'UTC\'), client_id Nullable(String), method String, path String,
    status UInt16, bytes UInt64, latency_us UInt32')
), placed AS (
  SELECT
    l.at_us AS at_us, l.bytes AS bytes, l.latency_us AS latency_us, l.subject AS subject,
    ifNull(c.partner, 1023) AS partner,
    ifNull(a.api, 63) AS api,
    (partner * 64 + api) * 4 + l.operation AS slot,
    l.outcome AS outcome,
    multiIf(
      ifNull(a.open, 0), $open,
      l.client_id IS NULL, $anonymous,
      c.partner IS NULL, $unknown,
      a.api IS NULL, $unlisted,
      255) AS settled,
    at_us < c.valid_from_us OR at_us >= c.valid_until_us + a.propagation_us AS stale
  FROM logged AS l
  ASOF LEFT JOIN credentials AS c ON c.credential = l.client_id AND l.at_us >= c.begins_us
  LEFT JOIN apis AS a ON a.name = l.api_name
)
SELECT
  toUInt16(p.partner) AS partner,
  toUInt8(p.api) AS api,
  p.at_us AS at_us,
  p.bytes AS bytes,
  p.latency_us AS latency_us,
  p.subject AS subject,
  toUInt64((toUInt64(p.slot) * 4 + p.outcome) * 32 + multiIf(
    p.settled != 255, p.settled,
    t.verdict = $granted AND p.stale, $stale,
    assumeNotNull(t.verdict))) AS key
FROM placed AS p
ASOF LEFT JOIN timeline AS t ON t.slot = p.slot AND p.at_us >= t.from_us;

CREATE TABLE usage ENGINE = Memory AS
SELECT key, count() AS calls, sum(bytes) AS bytes, min(at_us) AS first_us, max(at_us) AS last_us,
  uniqIf(subject, subject != 0) AS subjects
FROM calls
GROUP BY key;

-- quantilesExact takes the value at index floor(level * count): a hair less than the level makes it the nearest rank.
CREATE TABLE latency ENGINE = Memory AS
SELECT 'partner' AS kind, toUInt16(partner) AS id,
  quantilesExact(0.4999999999, 0.8999999999, 0.9899999999)(latency_us) AS q
FROM calls
WHERE partner != 1023
GROUP BY partner
UNION ALL
SELECT 'api', toUInt16(api), quantilesExact(0.4999999999, 0.8999999999, 0.9899999999)(latency_us)
FROM calls
WHERE api != 63
GROUP BY api;

-- part: usage

SELECT key, calls, bytes, first_us, last_us, subjects FROM usage

-- part: latency

SELECT kind, id, q[1], q[2], q[3] FROM latency
