-- The question of `overstay audit`, for DuckDB. scripts/peers/peer.py runs the parts;
-- only the part `query` is timed.
--
-- $LOG and $TABLES stand for paths, other words behind a $ for the ids of verdicts. Ids instead of names, and one
-- number for all that a row of the answer is about, keep hash tables small.
--
-- Tried on 4 M calls, seconds of two cores' time (so compared because the machine was not idle):
--   as it stands here                                             4.9–5.0
--   ts read as TIMESTAMP                                          5.1–5.9
--   split_part in place of the regular expression                 5.5
--   the join order of its own optimizer                           5.9, and 1.0 GB more memory
--   ASOF JOIN with the timeline                                   5.8
--   approx_count_distinct                                         0.6–1.3 less, but 45 % of the counts above 512
--                                                                 are off by more than 2 %
--   approx_quantile                                               twice the time of quantile_disc, which is exact

-- part: tables

-- DuckDB guesses that the log has few lines, and would build the hash tables of the joins of calls.
SET disabled_optimizers = 'build_side_probe_side,join_order';

CREATE TABLE credentials AS FROM read_csv('$TABLES/credentials.csv', header = true, columns = {
  credential: 'VARCHAR', partner: 'INTEGER', begins_us: 'BIGINT', next_us: 'BIGINT',
  valid_from_us: 'BIGINT', valid_until_us: 'BIGINT'
});
CREATE TABLE apis AS FROM read_csv('$TABLES/apis.csv', header = true, columns = {
  name: 'VARCHAR', api: 'INTEGER', open: 'BOOLEAN', propagation_us: 'BIGINT'
});
CREATE TABLE timeline AS FROM read_csv('$TABLES/timeline.csv', header = true, columns = {
  slot: 'INTEGER', from_us: 'BIGINT', until_us: 'BIGINT', verdict: 'INTEGER'
});

-- part: query

CREATE TABLE calls AS
WITH logged AS (
  SELECT
    epoch_us(ts::TIMESTAMP) AS at_us,
    client_id,
    regexp_extract(path, '^/v2/([^/?#]+)/(?:users/([^/?#]+)/[a-z]+|items/[^/?#]+)', ['api', 'subject']) AS target,
    CASE
      WHEN method IN ('GET', 'HEAD', 'OPTIONS') THEN 0
      WHEN method IN ('POST', 'PUT', 'PATCH') THEN 1
      WHEN method = 'DELETE' THEN 2
      ELSE 3
    END AS operation,
    CASE
      WHEN status BETWEEN 100 AND 399 THEN 0
      WHEN status IN (401, 403, 407, 451) THEN 1
      WHEN status > 0 THEN 2
      ELSE 3
    END AS outcome,
    bytes,
    latency_us
  FROM read_json('$LOG', format = 'newline_delimited', columns = {
    ts: 'VARCHAR', client_id: 'VARCHAR', method: 'VARCHAR', path: 'VARCHAR',
    status: 'SMALLINT', bytes: 'BIGINT', latency_us: 'BIGINT'
  })
), placed AS (
  SELECT
    at_us, client_id, target.subject AS subject, operation, outcome, bytes, latency_us, partner, api, open,
    ((partner * 64 + api) * 4 + operation)::INTEGER AS slot,
    at_us < valid_from_us OR at_us >= valid_until_us + propagation_us AS stale
  FROM logged
  LEFT JOIN credentials ON credential = client_id AND at_us >= begins_us AND at_us < next_us
  LEFT JOIN apis ON name = target.api
)
SELECT
  partner, api, at_us, bytes, latency_us,
  CASE WHEN subject <> '' THEN hash(subject) END AS subject,
  (((coalesce(partner, 1023) * 64 + coalesce(api, 63)) * 4 + operation) * 4 + outcome) * 32 +
  CASE
    WHEN open THEN $open
    WHEN client_id IS NULL THEN $anonymous
    WHEN partner IS NULL THEN $unknown
    WHEN api IS NULL THEN $unlisted
    WHEN stale AND verdict = $granted THEN $stale
    ELSE verdict
  END AS key
FROM placed
LEFT JOIN timeline ON timeline.slot = placed.slot AND at_us >= from_us AND at_us < until_us;

CREATE TABLE usage AS
SELECT key, count(*) AS calls, sum(bytes)::BIGINT AS bytes, min(at_us) AS first_us, max(at_us) AS last_us,
  count(DISTINCT subject) AS subjects
FROM calls
GROUP BY key;

CREATE TABLE latency AS
SELECT 'partner' AS kind, partner AS id, quantile_disc(latency_us, [0.5, 0.9, 0.99]) AS q
FROM calls
WHERE partner IS NOT NULL
GROUP BY partner
UNION ALL
SELECT 'api', api, quantile_disc(latency_us, [0.5, 0.9, 0.99])
FROM calls
WHERE api IS NOT NULL
GROUP BY api;

-- part: usage

SELECT key, calls, bytes, first_us, last_us, subjects FROM usage;

-- part: latency

SELECT kind, id, q[1], q[2], q[3] FROM latency;
