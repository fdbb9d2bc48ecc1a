    toUnixTimestamp64Nano(if(countIf(s.acts) > 0, minIf(s.start_time, s.acts), min(s.start_time))) AS start_ns,
    multiIf(
        countIf(s.acts AND (s.status_code = 'ERROR' OR s.error_type != '')) > 0, 'failed', countIf(s.acts) > 0, 'succeeded',
        countIf(s.attribution_policy_enforcement_action = 'blocked') > 0, 'denied', 'not_recorded') AS became
