"""The attribution conventions: generated constants, enum values and the registry.

Everything here but `definitions`, `model` and `generate` is generated from `semconv/model/*.yaml`
by `whodid semconv generate`.
"""
