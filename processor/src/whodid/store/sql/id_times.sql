-- In which five minutes there are spans with one of some ids, and with few others.
SELECT DISTINCT step
FROM {database}.id_times
WHERE tenant_id = {tenant:String}
  AND id_hash IN (
      SELECT arrayJoin(arrayMap((name, id) -> toUInt32(cityHash64(name, id)), {columns:Array(String)}, {ids:Array(String)})))
LIMIT {limit:UInt32}
SETTINGS max_threads = 1
