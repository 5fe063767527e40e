"""`react(setting, enrolment, input) -> commands`: the policy of a flow, pure (ADR 0003).

One module per kind of input. `Course` moves one journey along and folds each fact as it is made, so that
a reaction always sees the state that its own facts led to.
"""
