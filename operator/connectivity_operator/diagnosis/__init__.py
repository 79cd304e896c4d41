"""Diagnosis: climb each dependency rung by rung and say which rung failed, why, and what to do about it.

`ladder` runs steps and knows no service; `catalogue` turns (service, reason, evidence) into words;
`probes` shares results between resources; one module a service holds its steps.
"""
