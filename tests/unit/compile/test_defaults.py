"""What a manifest doesn't say is filled in, so that a plan needs no second look at the API."""

from emailflow_api.plans import END, Retry


def test_a_flow_lets_people_in_again_after_their_exit(compile_text):
    plan = compile_text().plans.flows["default/welcome"]
    assert (plan.reentry, plan.start_from, plan.suspend, plan.deletion_policy) == (
        "AfterExit",
        "New",
        False,
        "Drain",
    )


def test_steps_run_on_to_the_next_and_the_last_one_ends(compile_text, sound):
    found = compile_text(flow=sound["flow"] + "    - {name: rest, wait: {for: PT1H}}\n")
    program = next(iter(found.plans.programs.values()))
    assert [(step.name, step.next) for step in program.steps] == [("greet", "rest"), ("rest", END)]


def test_an_exit_without_a_result_is_exited(compile_text, sound):
    flow = sound["flow"].replace("spec:\n", "spec:\n  exitOn: [{types: [com.example.left]}]\n", 1)
    program = next(iter(compile_text(flow=flow).plans.programs.values()))
    assert program.exits[0].result == "Exited"


def test_smtp_submits_with_starttls_on_587(compile_text):
    transport = compile_text().plans.providers["relay"].transport
    assert (transport.port, transport.tls) == (587, "StartTls")


def test_implicit_tls_means_465(compile_text, sound):
    provider = sound["provider"].replace("{host:", "{tls: Implicit, host:")
    assert compile_text(provider=provider).plans.providers["relay"].transport.port == 465


def test_a_provider_retries_as_the_api_says(compile_text):
    assert compile_text().plans.providers["relay"].retry == Retry()


def test_a_policy_asks_for_opt_out_unless_it_is_transactional(compile_text, sound):
    assert compile_text().plans.policies["offers"].consent == "OptOut"
    transactional = sound["policy"].replace("topic: offers", "topic: offers, transactional: true")
    assert compile_text(policy=transactional).plans.policies["offers"].consent == "None"


def test_a_runtime_keeps_events_for_thirty_days_in_one_shard(compile_text):
    runtime = compile_text().plans.runtime
    assert (runtime.shards, runtime.retention_events, runtime.retention_dedupe) == (1, "P30D", "P30D")
    assert (runtime.default_locale, runtime.default_timezone) == ("en", "UTC")


def test_a_flow_without_a_policy_has_the_runtimes(compile_text, sound):
    found = compile_text(
        runtime=sound["runtime"].replace("{defaults: {", "{defaults: {policyRef: {name: offers}, "),
        flow=sound["flow"].replace("  policyRef: {name: offers}\n", ""),
    )
    assert found.plans.flows["default/welcome"].policy == "offers"
