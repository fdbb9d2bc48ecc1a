"""The attribution conventions: generated constants, enum values and the registry.

`attributes`, `values` and `registry` are generated from `semconv/model/*.yaml` by `whodid semconv generate`,
whose source the other modules are: `source` → `resolver` → `model` → `constants`, `pages` …
"""
