-- A trace.
SELECT * FROM otel.otel_traces WHERE TraceId = {trace:String} ORDER BY Timestamp
