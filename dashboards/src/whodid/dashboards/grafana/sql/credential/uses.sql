-- Uses over time: by agents of ours, and by nobody that we know.
-- columns: time DateTime('UTC'), by String, uses UInt64
SELECT $__timeInterval(at) AS time, if(enrolled, 'an agent of ours', 'nobody that we know') AS by, count() AS uses
FROM {credential_uses}
WHERE $__conditionalAll(credential IN (${credential:singlequote}), $credential)
GROUP BY time, by
ORDER BY time, by
