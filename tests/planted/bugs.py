"""The bugs: one change of one file each, and the test or the part of the sweep that must fail because of it."""

from dataclasses import dataclass
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "services"

DURABLE = "tests/durable/"
LATER = "tests/durable/test_database_later.py::"
ACCEPTED = "tests/unit/test_registry_accepted.py::"
INTERLEAVE = "tests/unit/test_interleave.py::test_nothing_is_lost_answered_twice_or_run_beside_another"
SWEEP = ("tests.sweep", "--victim", "service", "--only")
TALK = ("tests.sweep", "--talk", "--victim", "service", "--only")
OUTAGE = ("tests.sweep", "--outage", "--victim", "postgres", "--only")


@dataclass(frozen=True)
class Bug:
    """`before` stands once in `file` (below services/<package>/src) and becomes `after`."""

    name: str
    file: str
    before: str
    after: str
    caught_by: str | tuple[str, ...]

    @property
    def package(self) -> str:
        return self.file.partition("/")[0]

    @property
    def command(self) -> tuple[str, ...]:
        """What `python -m` runs: a module of ours, or pytest with one test."""
        if isinstance(self.caught_by, tuple):
            return self.caught_by
        return ("pytest", "-x", "-p", "no:cacheprovider", self.caught_by)

    def planted_in(self, text: str) -> str:
        """Raises ValueError when the code has changed so that the bug is no longer in it."""
        if text.count(self.before) != 1:
            raise ValueError(f"{self.name}: {self.file} holds this {text.count(self.before)} times: {self.before!r}")
        return text.replace(self.before, self.after)

    def read(self) -> str:
        return (SERVICES / self.package / "src" / self.file).read_text()


BUGS = [
    Bug(
        "a model call outside ctx.run",
        "router/steps.py",
        "await self._ctx.run_typed(name, self._act, options, key, kind, action, journal_as)",
        "await self._act(key, kind, action, journal_as)",
        (*SWEEP, "run tool check_service_status"),
    ),
    Bug(
        "a ticket inserted under a key that is not in the journal",
        "tickets/workflow.py",
        "store.insert(caller.sub, ctx.key(), new",
        "store.insert(caller.sub, __import__('uuid').uuid4().hex, new",
        (*SWEEP, "insert ticket, after COMMIT"),
    ),
    Bug(
        "a workflow key made while calling, not in the journaled plan",
        "router/calls/call.py",
        "plan.body.encode(), plan.key",
        "plan.body.encode(), __import__('uuid').uuid4().hex if plan.workflow else plan.key",
        DURABLE + "test_router_faults.py::test_a_run_keeps_the_key_of_a_call_when_the_router_dies",
    ),
    Bug(
        "no ON CONFLICT",
        "tickets/store.py",
        "nullif($10, ''))\n    ON CONFLICT (workflow_key) DO NOTHING\n",
        "nullif($10, ''))\n",
        DURABLE + "test_tickets.py::test_a_repeated_insert_changes_nothing_and_returns_the_same_ticket",
    ),
    Bug(
        "a message id of its own for each attempt",
        "tickets/notifier.py",
        '"webhook-id": notification.message_id,',
        '"webhook-id": __import__("uuid").uuid4().hex,',
        DURABLE + "test_tickets.py::test_a_failing_receiver_gets_the_same_message_again",
    ),
    Bug(
        "a ticket given up because the database refused it",
        "runtime/postgres/transactions.py",
        "if accepted_for_good.get() and not",
        "if accepted_for_good.get() is None and not",
        DURABLE + "test_tickets.py::test_a_ticket_that_the_database_refuses_waits_until_that_is_mended",
    ),
    Bug(
        "a task whose end nobody keeps",
        "router/tasks.py",
        "    _look_later(ctx, Look(task_id=task.task_id))\n",
        "",
        DURABLE + "test_router.py::test_how_a_task_ended_is_known_after_restate_has_forgotten_it",
    ),
    Bug(
        "names of effects that are made anew each time",
        "router/names.py",
        "self._run = (run_id, message, caller.user_id)",
        "self._run = (__import__('uuid').uuid4().hex, message, caller.user_id)",
        DURABLE + "test_restored.py::test_a_question_that_is_asked_again_after_a_restore_makes_no_second_ticket",
    ),
    Bug(
        "the id of a task that is a part of a key",
        "router/names.py",
        "self._name('task', tool, number)",
        "self._name('once', tool, number)",
        "tests/unit/test_plan.py::test_what_a_customer_is_told_is_no_part_of_what_opens_a_door",
    ),
    Bug(
        "names that whoever knows the run can make",
        "router/names.py",
        'signer.secret("names of calls")',
        'b"names of calls"',
        "tests/unit/test_plan.py::test_names_with_another_key_of_the_router_are_others",
    ),
    Bug(
        "timers by a clock that is wrong",
        "runtime/clock.py",
        "return millis if abs(self.ahead) < NOTHING_SECONDS else",
        "return millis if abs(self.ahead) >= 0 else",
        DURABLE + "test_clock_skew.py::test_a_read_has_the_time_that_it_may_take",
    ),
    Bug(
        "a cancelled read that fails on",
        "registry/stuck.py",
        "            if run.id in cancelled:\n",
        "            if run.id in ():\n",
        DURABLE + "test_router.py::test_a_read_that_fails_on_and_on_ends_with_its_call",
    ),
    Bug(
        "tools of others taken for the product's own",
        "registry/catalogue.py",
        '"steady": tool.service in homes.own',
        '"steady": tool.service is not None',
        "tests/unit/test_registry_pins.py::test_only_tools_of_own_deployments_are_steady",
    ),
    Bug(
        "accepted work ended by its age",
        "registry/stuck.py",
        'return NEVER if stated == "none" or is_effect else None',
        'return NEVER if stated == "none" and is_effect else None',
        (*OUTAGE, "insert ticket, before COMMIT"),
    ),
    Bug(
        "connections to a former primary that are kept",
        "runtime/postgres/pool.py",
        "            connection.terminate()\n            await connections.expire_connections()\n",
        "            pass\n",
        DURABLE + "test_switchover.py::test_a_ticket_asked_for_during_a_switchover_is_made_once",
    ),
    Bug(
        "a database that is asked twice a second, for ever",
        "runtime/postgres/transactions.py",
        "retry_after=spread(pause_after(failures))",
        "retry_after=spread(pause_after(1))",
        DURABLE + "test_postgres.py::test_what_fails_on_and_on_is_tried_slower_and_slower",
    ),
    Bug(
        "a lookup that no cancellation reaches",
        "users/handlers.py",
        'return await ctx.run_typed("look the customer up", look)',
        "return await look()",
        DURABLE + "test_users.py::test_a_lookup_that_is_cancelled_ends_while_the_database_is_away",
    ),
    Bug(
        "a lookup of the caller that is left behind",
        "router/customers.py",
        "        run.ctx.cancel_invocation(await call.invocation_id())\n",
        "",
        DURABLE + "test_router_faults.py::test_a_lookup_of_the_caller_that_nobody_waits_for_any_more_is_cancelled",
    ),
    Bug(
        "a refused notification that is not kept",
        "tickets/notifier.py",
        "await ctx.run_typed(KEEP, keep,",
        "(lambda *_: None)(KEEP, keep,",
        DURABLE + "test_undelivered.py::test_what_is_refused_again_waits_for_another_command",
    ),
    Bug(
        "a resender that looks once",
        "tickets/resender.py",
        "        if wanted.left:\n",
        "        if wanted.left and not before:\n",
        DURABLE + "test_undelivered.py::test_what_is_refused_again_waits_for_another_command",
    ),
    Bug(
        "a late word of a former sending that is believed",
        "tickets/undelivered.py",
        "OR (notifications.resends < $7 AND notifications.state <> 'delivered')",
        "OR notifications.resends <= $7",
        DURABLE + "test_undelivered.py::test_a_late_word_changes_nothing",
    ),
    Bug(
        "except Exception around a durable step",
        "router/steps.py",
        "except TerminalError as error:\n            if patience is None or error.status_code < 500:",
        "except Exception:\n            if patience is None:",
        DURABLE + "test_router_faults.py::test_a_cancelled_run_ends_as_cancelled_and_asks_the_model_nothing_more",
    ),
    Bug(
        "an endpoint asked again and again within one attempt",
        "router/model/endpoint.py",
        "            except _Fitted:\n",
        "            except (_Fitted, ModelBusy):\n",
        DURABLE + "test_model_faults.py::test_a_fault_that_stays_ends_the_run_after_three_calls[server_error]",
    ),
    Bug(
        "no total deadline of a model call",
        "router/model/endpoint.py",
        "asyncio.timeout(min(self._address.timeouts.total, seconds))",
        "asyncio.timeout(None)",
        DURABLE + "test_router_faults.py::test_a_model_call_ends_at_its_deadline_however_much_trickles_in[drip]",
    ),
    Bug(
        "a call made of half a reply",
        "router/model/reply.py",
        "if at_limit and (calls or written.unreadable):",
        "if at_limit and written.unreadable:",
        DURABLE + "test_model_replies.py::test_a_call_that_was_cut_is_not_made",
    ),
    Bug(
        "an effect made as often as one message holds it",
        "router/plan.py",
        "if plan.kind in EFFECTS and any(",
        "if False and any(",
        DURABLE + "test_model_replies.py::test_an_effect_that_stands_twice_in_one_message_is_made_once",
    ),
    Bug(
        "tools in the last turn of a run",
        "router/run.py",
        "usage.turns + 1 < limits.turns",
        "usage.turns < limits.turns",
        DURABLE + "test_model_replies.py::test_the_last_turn_of_a_run_may_not_call_and_so_it_answers",
    ),
    Bug(
        "one endpoint's fields sent to another",
        "router/transcript.py",
        "own = endpoint is None or turn.endpoint == endpoint",
        "own = True",
        "tests/unit/test_transcript.py::test_another_endpoint_reads_ids_that_all_take_and_no_foreign_fields",
    ),
    Bug(
        "a refusal logged as the endpoint words it",
        "router/model/endpoint.py",
        "told = refusal.scrubbed(_texts(chat))",
        "told = refusal",
        "tests/unit/test_model_request.py::test_no_log_line_of_a_refusal_repeats_what_was_sent",
    ),
    Bug(
        "the model's user_id believed",
        "router/plan.py",
        "arguments | bound",
        "bound | arguments",
        "tests/unit/test_plan.py::test_a_bound_argument_overwrites_what_the_model_wrote",
    ),
    Bug(
        "branches through references not counted",
        "registry/bounds.py",
        "if paths > MAX_PATHS:",
        "if paths > 20 * MAX_PATHS:",
        "tests/unit/test_registry_schemas.py::test_a_schema_that_is_too_large_is_left_out_with_the_reason",
    ),
    Bug(
        "arguments explained however much work it is",
        "router/offer.py",
        "if steps > MAX_EXPLAINED or steps * len(json.dumps(arguments)) > MAX_COPIED:",
        "if steps < 0:",
        "tests/unit/test_offer.py::test_no_check_stops_the_other_questions",
    ),
    Bug(
        "free objects closed",
        "registry/schema.py",
        'return bool(node.get("properties") or node.get("patternProperties"))',
        'return bool("properties" in node or node.get("type") == "object")',
        "tests/unit/test_registry_schemas.py::test_a_schema_admits_what_was_meant",
    ),
    Bug(
        "tools open at the ingress offered",
        "registry/tools.py",
        "if handler.public:",
        'if handler.name == "":',
        "tests/unit/test_registry_catalogue.py::test_a_tool_that_anybody_may_call_is_left_out",
    ),
    Bug(
        "what find_tools returned is not offered",
        "router/shelf.py",
        "*_found(run), ",
        "",
        "tests/unit/test_shelf.py::test_what_was_found_is_offered_next",
    ),
    Bug(
        "tools found that this caller may not use",
        "router/shelf.py",
        "if self.offers[name].allowed_to(caller)]",
        "if name]",
        "tests/unit/test_shelf.py::test_only_tools_of_this_caller_count_or_are_found",
    ),
    Bug(
        "own services taken over by whoever announces them",
        "registry/pins.py",
        "if name in homes and family(uri) not in families",
        "if name in homes and uri is None",
        "tests/unit/test_registry_pins.py::test_a_deployment_that_announces_an_own_service_and_another_takes_nothing_over",
    ),
    Bug(
        "what was accepted not compared",
        "registry/catalogue.py",
        "if rules.accepted not in (None, digest(tool)):",
        "if rules.accepted is digest:",
        "tests/unit/test_registry_pins.py::test_a_tool_that_says_something_else_than_was_accepted_is_withdrawn",
    ),
    Bug(
        "the name of a withdrawn tool given to another",
        "registry/catalogue.py",
        'return owner if owner and owner.partition("/")[0] in homes.moved else None',
        "return None",
        "tests/unit/test_registry_pins.py::test_nobody_gets_the_name_of_a_tool_that_is_withdrawn",
    ),
    Bug(
        "effects without a number",
        "router/plan.py",
        "            made[plan.tool] += 1\n",
        "            made[plan.tool] += 0\n",
        "tests/unit/test_plan.py::test_a_run_makes_only_so_many_effects_of_one_tool",
    ),
    Bug(
        "settings read on replay",
        "router/agent.py",
        "await decide(run, agent)\n",
        "await decide(run, agent)\n                run.facts.limits.turns = agent.settings.max_turns\n",
        DURABLE + "test_router_faults.py::test_a_run_keeps_the_budgets_that_it_began_with",
    ),
    Bug(
        "input validated by the SDK, before the handler",
        "router/agent.py",
        '@service.handler("route", input_serde=RAW)\n    @checked\n',
        '@service.handler("route")\n',
        DURABLE + "test_bad_input.py::test_a_bad_question_gets_a_clear_4xx_at_once[wrong_type]",
    ),
    Bug(
        "an effect that is cancelled with its run",
        "router/calls/__init__.py",
        '"effect": EffectCall',
        '"effect": ReadCall',
        DURABLE + "test_router.py::test_a_cancelled_run_cancels_its_reads_and_leaves_its_effects_alone",
    ),
    Bug(
        "no row-level security on tickets",
        "tickets/migrations/0001_tickets.sql",
        "ALTER TABLE tickets ENABLE ROW LEVEL SECURITY;\n",
        "",
        DURABLE + "test_tickets.py::test_nobody_sees_the_tickets_of_others",
    ),
    Bug(
        "a policy that lets everybody see the invoices",
        "users/migrations/0001_accounts.sql",
        "own_rows ON invoices USING (user_id = NULLIF(current_setting('app.user_id', true), ''))",
        "own_rows ON invoices USING (true)",
        DURABLE + "test_users.py::test_a_wrong_query_shows_only_the_callers_rows",
    ),
    Bug(
        "no guard against a data frame of a refused stream",
        "runtime/serving.py",
        "    _guard_refused_streams()\n    _take",
        "    _take",
        DURABLE
        + "test_serving.py::test_a_stream_that_is_refused_after_sigterm_does_not_cost_the_others_their_connection",
    ),
    Bug(
        "a server that counts streams before its settings are read",
        "runtime/serving.py",
        "config.h2_max_concurrent_streams = UNLIMITED",
        "config.h2_max_concurrent_streams = STREAMS_PER_CONNECTION",
        DURABLE + "test_serving.py::test_a_client_may_begin_with_more_streams_than_it_is_then_told_to",
    ),
    Bug(
        "a signal handler that the SDK replaces",
        "runtime/serving.py",
        "install_shutdown_hook(asyncio.get_running_loop(), end, signum)",
        "asyncio.get_running_loop().add_signal_handler(signum, end)",
        DURABLE + "test_sigterm.py::test_an_idle_service_leaves_at_once[users]",
    ),
    Bug(
        "ids of spans that another process makes differently",
        "runtime/telemetry/tracing.py",
        '_number(f"{self.invocation}/{step}", 8)',
        '_number(f"{self.invocation}/{step}/" + str(__import__("os").getpid()), 8)',
        (*SWEEP, "run tool check_service_status"),
    ),
    Bug(
        "an end that does not wait for its spans",
        "router/seen/watch.py",
        "        self._spans.run_ended(run, answer)\n        await spans_sent()\n",
        "        self._spans.run_ended(run, answer)\n",
        DURABLE + "test_sweep_short.py::test_a_kill_right_after_the_answer_loses_no_span",
    ),
    Bug(
        "a span timed by the attempt, not by the journal",
        "router/seen/spans.py",
        "self._run(run, answer.outcome, run.steps.ended_at, error, answer.text)",
        "self._run(run, answer.outcome, __import__('time').time(), error, answer.text)",
        (*SWEEP, "ToolRouter/route, ended"),
    ),
    Bug(
        "a call of another's tool made by the run itself",
        "router/plan.py",
        "plan.apart = tool.service is not None and not tool.steady",
        "plan.apart = False",
        DURABLE + "test_vanished_tool.py::test_a_call_of_a_vanished_tool_fails_alone[vanishing_read]",
    ),
    Bug(
        "a defect that is tried on and on",
        "runtime/defects.py",
        "        if number < ATTEMPTS:\n",
        "        if number < 1_000_000:\n",
        DURABLE + "test_defects.py::test_a_defect_ends_what_a_caller_waits_for[Broken-in_a_step-TypeError]",
    ),
    Bug(
        "a ticket that a defect ends",
        "runtime/defects.py",
        "        if self._kept:\n",
        "        if False:\n",
        DURABLE + "test_defects.py::test_a_ticket_waits_until_it_is_mended",
    ),
    Bug(
        "steps that nobody guards",
        "runtime/defects.py",
        "    guard.over_steps()\n",
        "",
        DURABLE + "test_defects.py::test_a_defect_ends_what_a_caller_waits_for[Broken-in_a_step-RecursionError]",
    ),
    Bug(
        "an exception's words for Restate",
        "runtime/defects.py",
        'short = f"{exception[0]} at {place}"[:LONGEST_TEXT]',
        "short = repr(error)",
        DURABLE + "test_defects.py::test_a_defect_ends_what_a_caller_waits_for[Broken-between_steps-ValueError]",
    ),
    Bug(
        "a library's words in a span",
        "runtime/telemetry/otlp.py",
        "provider.add_span_processor(_WithoutWords(self._collector))",
        "provider.add_span_processor(self._collector)",
        "tests/telemetry/test_canaries.py::test_no_span_holds_anything_that_came_in",
    ),
    Bug(
        "a caller token of any life",
        "runtime/proof.py",
        "0 <= self.exp - self.iat <= MAX_LIFE_SECONDS",
        "self.exp >= self.iat",
        "tests/unit/test_caller_tokens.py::test_a_token_that_says_too_little_or_lives_too_long_is_refused",
    ),
    Bug(
        "a caller token judged when it is read",
        "runtime/proof.py",
        "good_until < read_at and good_until < await accepted_at()",
        "good_until < read_at",
        DURABLE + "test_acceptance.py::test_a_question_outlasts_its_token_while_the_router_is_away",
    ),
    Bug(
        "a key of any kind for caller tokens",
        "runtime/caller_keys.py",
        'case RSAPublicKey() if algorithm == "RS256" and key.key_size >= MIN_RSA_BITS:',
        "case RSAPublicKey() | Ed25519PublicKey():",
        "tests/unit/test_caller_tokens.py::test_a_key_that_cannot_check_a_token_is_refused_at_start",
    ),
    Bug(
        "a call token that any service believes",
        "runtime/call_tokens.py",
        "        audience=service,\n",
        "        audience=jwt.decode(token, options={'verify_signature': False}).get('aud'),\n",
        "tests/unit/test_call_tokens.py::test_nothing_else_is_believed",
    ),
    Bug(
        "a call token judged when the call is made",
        "runtime/call_tokens.py",
        "good_until < time.time() and good_until < await self._accepted_at(request.id)",
        "good_until < time.time()",
        "tests/unit/test_call_tokens.py::test_a_call_that_was_accepted_in_time_is_made_however_late",
    ),
    Bug(
        "the id of a task as its key at Restate",
        "router/calls/effect.py",
        "else self.plan.once",
        "else self.plan.task_id",
        DURABLE + "test_router.py::test_nothing_that_opens_a_door_is_told",
    ),
    Bug(
        "a ticket of any tool",
        "router/calls/call.py",
        "not self.plan.makes_ticket or not isinstance(value, dict)",
        "not isinstance(value, dict)",
        DURABLE + "test_router.py::test_a_ticket_of_another_tool_or_form_is_none_of_this_run",
    ),
    Bug(
        "an accepted tool that may say something else",
        "registry/accepted.py",
        "    if accepted.digest != digest(tool):\n",
        "    if False:\n",
        ACCEPTED + "test_what_is_seen_first_is_accepted_and_nothing_else",
    ),
    Bug(
        "what was accepted, forgotten at a restart",
        "registry/accepted.py",
        "                await self._store.write(name, accepted.model_dump_json())\n",
        "",
        ACCEPTED + "test_what_is_seen_first_is_accepted_and_nothing_else",
    ),
    Bug(
        "tools that nobody has accepted, on offer",
        "registry/accepted.py",
        'if accepted is None and self._mode == "named":',
        "if False:",
        ACCEPTED + "test_the_setting_says_what_is_accepted",
    ),
    Bug(
        "a catalogue without what was accepted",
        "registry/accepted.py",
        "            if not self._read:\n                raise\n",
        "",
        ACCEPTED + "test_without_what_was_accepted_nothing_is_offered",
    ),
    Bug(
        "an acceptance of what nobody has read",
        "registry/accept.py",
        "    if read != digest(tool):\n",
        "    if False:\n",
        DURABLE + "test_registry_tools.py::test_only_what_was_read_is_accepted",
    ),
    Bug(
        "text that commands the terminal",
        "runtime/terminal.py",
        'char if _is_shown(char, lines) else "\\N{REPLACEMENT CHARACTER}" for char',
        "char for char",
        "tests/unit/test_terminal.py::test_a_terminal_obeys_nothing_that_is_printed",
    ),
    Bug(
        "a change that anybody may have made",
        "tickets/migrations/0005_audit_who.sql",
        "        NEW.who := session_user;\n",
        "        NULL;\n",
        DURABLE + "test_tickets.py::test_nobody_can_say_that_another_did_it",
    ),
    Bug(
        "a steered message that its run has not read is dropped",
        "conversations/control.py",
        "unread = [each for each in control.steered if each not in ended.read]",
        "unread = list[str]()",
        INTERLEAVE,
    ),
    Bug(
        "a stop that drains the queue",
        "conversations/control.py",
        "    control.paused = True\n",
        "",
        INTERLEAVE,
    ),
    Bug(
        "a late report taken for that of the active run",
        "conversations/control.py",
        "if active is None or active.run != ended.run:",
        "if active is None:",
        INTERLEAVE,
    ),
    Bug(
        "a run that was stopped and still posts",
        "conversations/control.py",
        "posts=not stopped",
        "posts=True",
        INTERLEAVE,
    ),
    Bug(
        "an input that is known by its id alone",
        "conversations/store.py",
        'elif known["digest"] != digest(came):',
        "elif False:",
        DURABLE + "test_conversations.py::test_an_input_is_taken_once_and_its_id_belongs_to_it",
    ),
    Bug(
        "no row-level security on conversations",
        "conversations/migrations/0001_conversations.sql",
        "        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', each);\n",
        "",
        DURABLE + "test_conversations.py::test_the_database_keeps_others_out_even_without_the_object",
    ),
    Bug(
        "a repeated turn that reads other messages than before",
        "conversations/migrations/0001_conversations.sql",
        "AND i.run = of_run AND i.turn = at_turn AND i.turn > 0) THEN",
        "AND false) THEN",
        DURABLE + "test_conversation_store.py::test_a_repeat_of_a_turn_reads_the_same_messages",
    ),
    Bug(
        "a run that is killed and never reported",
        "conversations/following.py",
        'ctx.generic_send("Conversation", "finished", report.model_dump_json().encode(), key=followed.conversation)',
        "pass",
        DURABLE + "test_conversations.py::test_a_run_that_is_killed_is_reported_for_it",
    ),
    Bug(
        "a stopped run that asks the model once more",
        "router/decision.py",
        '        return paid_in_vain("stopped", moment)\n',
        "        inputs = []\n",
        DURABLE + "test_conversations.py::test_a_stop_that_only_the_database_tells_is_obeyed",
    ),
    Bug(
        "journals of runs that outlive their conversation",
        "conversations/conversation.py",
        'await ctx.run_typed("remove journal", purge, RunOptions(), invocation)',
        "pass",
        DURABLE + "test_conversation_erasing.py::test_erasing_leaves_neither_rows_nor_state_nor_journals",
    ),
    Bug(
        "a registry that removes the journal of anything",
        "registry/web.py",
        "if target not in (None, CONVERSATION_RUN):",
        "if False:",
        DURABLE + "test_conversation_erasing.py::test_no_journal_but_that_of_a_conversation_s_run_can_be_removed",
    ),
    Bug(
        "a conversation that is kept for ever",
        "conversations/conversation.py",
        "                _expire_after(ctx, taken.look_seconds)\n",
        "                pass\n",
        DURABLE + "test_conversation_erasing.py::test_a_conversation_in_which_nothing_was_said_for_long_is_removed",
    ),
    Bug(
        "an endpoint that is left out for ever",
        "router/model/client.py",
        "            except _ALSO_ANSWERS:\n                endpoint.breaker.succeeded()\n",
        "            except _ALSO_ANSWERS:\n",
        "tests/unit/test_model_fallbacks.py::test_an_endpoint_is_back_whatever_it_answers",
    ),
    Bug(
        "replies of no use that cost nothing",
        "router/model/endpoint.py",
        "            exchange.spent = (busy.spent[0] or exchange.estimate[0], busy.spent[1])\n",
        "",
        "tests/unit/test_model_fallbacks.py::test_the_tokens_of_a_reply_of_no_use_are_counted_too",
    ),
    Bug(
        "text of a broken stream that stays",
        "router/model/endpoint.py",
        'exchange.live.show("")',
        "pass",
        "tests/unit/test_model_stream.py::test_a_stream_that_breaks_is_taken_back_and_the_next_endpoint_answers",
    ),
    Bug(
        "a stream that may fall silent",
        "router/model/exchange.py",
        "        if not self.streamed:\n            patience.reschedule(None)\n",
        "        patience.reschedule(None)\n",
        "tests/unit/test_model_stream.py::test_a_stream_has_deadlines_and_what_was_shown_is_taken_back",
    ),
    Bug(
        "marks of calls that are shown while they are written",
        "router/model/live.py",
        "    places = [len(text) - _part_of_mark(text)]\n",
        "    places = [len(text)]\n",
        "tests/unit/test_model_stream.py::test_no_beginning_of_a_reply_shows_a_call_that_is_written_as_text",
    ),
    Bug(
        "lines of a stream that end at any separator",
        "router/model/stream.py",
        "_LINE_END.split(text)",
        "text.splitlines()",
        "tests/unit/test_model_stream.py::test_a_stream_means_the_same_as_the_whole_reply",
    ),
    Bug(
        "a check at start that is paid without being asked for",
        "router/check.py",
        "return is_own(url) if wanted is None else wanted",
        "return wanted is not False",
        "tests/unit/test_model_check.py::test_a_setting_decides_whether_it_is_asked",
    ),
    Bug(
        "tools that are dropped in silence",
        "router/model/check.py",
        "if 0 < tokens < fewest:",
        "if 0 > tokens:",
        "tests/unit/test_model_check.py::test_what_is_found_is_said_with_the_setting_that_mends_it",
    ),
    Bug(
        "two tickets of one conversation about one subject",
        "tickets/store.py",
        "        await db.execute(_ALONE_IN_CONVERSATION, conversation)\n",
        "",
        DURABLE + "test_tickets.py::test_twenty_workflows_of_a_conversation_make_one_ticket",
    ),
    Bug(
        "a watcher that keeps the text of a former attempt",
        "conversations/watch/place.py",
        "same = (self.run, self.turn, self.attempt) == (text.run, text.turn, text.attempt)",
        "same = (self.run, self.turn) == (text.run, text.turn)",
        "tests/unit/test_watch_place.py::test_a_watcher_keeps_of_its_text_what_is_still_true",
    ),
    Bug(
        "text that is sent on without a look at what came before it",
        "conversations/watch/place.py",
        "_checksum(text.text[: self.length]) == self.checksum",
        "True",
        "tests/unit/test_watch_place.py::test_a_watcher_keeps_of_its_text_what_is_still_true",
    ),
    Bug(
        "a frame of text that counts as the next event",
        "conversations/watch/place.py",
        "return Place(self.position, Shown.of(text))",
        "return Place(self.position + 1, Shown.of(text))",
        DURABLE + "test_watching.py::test_a_watcher_that_is_cut_off_again_and_again_ends_with_the_same",
    ),
    Bug(
        "a watcher that comes again and begins at the beginning",
        "conversations/watch/web.py",
        'told = request.headers.get("Last-Event-ID") or request.query.get("after")',
        'told = request.query.get("after")',
        DURABLE + "test_watching.py::test_a_watcher_that_is_cut_off_again_and_again_ends_with_the_same",
    ),
    Bug(
        "a watcher that skips what is no more kept in the process",
        "conversations/watch/hub.py",
        "if not self._lines or self._lines[0].position > place.position + 1:",
        "if not self._lines:",
        DURABLE + "test_watching.py::test_who_comes_late_reads_a_long_log_to_its_end",
    ),
    Bug(
        "a reader that holds up the query for all",
        "conversations/watch/hub.py",
        "                watched.take(news)\n",
        "                watched.take(news)\n"
        "                while len(news.text.text if news.text else '') > 100_000:\n"
        "                    await asyncio.sleep(1)\n",
        DURABLE + "test_watching.py::test_a_reader_that_takes_nothing_slows_nobody_and_is_shown_how_it_stands",
    ),
    Bug(
        "a database that was away ends all watching",
        "conversations/watch/hub.py",
        "            except UNUSABLE as error:\n                if not away:",
        "            except ValueError as error:\n                if not away:",
        DURABLE + "test_watching.py::test_postgresql_is_killed_in_the_middle_of_a_text",
    ),
    Bug(
        "the beginning of a run that is ended for its age",
        "conversations/conversation.py",
        '        metadata={"switchboard.deadline": "none"},\n    )\n    attempts',
        "    )\n    attempts",
        "tests/unit/test_conversation_handlers.py::test_no_handler_whose_work_was_accepted_is_ended_for_its_age",
    ),
    Bug(
        "a room that leaves and does not say so",
        "conversations/watch/hub.py",
        "        self.ending = True\n",
        "",
        DURABLE + "test_watching.py::test_a_room_that_leaves_tells_its_watchers_to_come_again",
    ),
    Bug(
        "a conversation that anybody may watch who knows its name",
        "conversations/migrations/0002_watching.sql",
        "LANGUAGE plpgsql STABLE\n",
        "LANGUAGE plpgsql STABLE SECURITY DEFINER\n",
        DURABLE + "test_watching.py::test_no_statement_of_the_room_reads_for_another_customer",
    ),
    Bug(
        "live text of a turn that has been decided",
        "conversations/migrations/0002_watching.sql",
        "THEN NULL ELSE l.text END",
        "THEN l.text ELSE l.text END",
        DURABLE + "test_watching.py::test_text_of_a_turn_that_is_decided_is_shown_no_more",
    ),
    Bug(
        "an attempt that does not take the former one's text back",
        "router/told.py",
        '        show("")\n',
        "",
        "tests/unit/test_told.py::test_a_new_attempt_takes_the_text_of_the_former_back",
    ),
    Bug(
        "events that are lost when the database is away",
        "router/told.py",
        "self._events.extendleft(_Waiting(run, event) for event in reversed(events))",
        "pass",
        "tests/unit/test_told.py::test_while_the_database_is_away_events_wait_and_texts_give_way_to_later_ones",
    ),
    Bug(
        "a run that does not report what could not be told",
        "router/converse.py",
        "        events=events_of(run.turns, run.results),\n",
        "",
        DURABLE + "test_streaming.py::test_what_could_not_be_told_is_added_when_the_run_reports",
    ),
    Bug(
        "a router that answers nobody while the database of the conversations is away",
        "router/inbox.py",
        "waits=False",
        "waits=True",
        LATER + "test_a_question_is_answered_while_the_database_and_its_roles_are_not_made_yet",
    ),
    Bug(
        "a role that passes by row-level security, seen too late to be refused",
        "runtime/postgres/pool.py",
        "nullcontext() if waits else _meanwhile(_once_up(setting, check))",
        "nullcontext()",
        LATER + "test_a_role_that_row_level_security_does_not_bind_ends_the_router_as_soon_as_it_is_seen",
    ),
    Bug(
        "what a template says of tools is told to the customer",
        "router/model/thinking.py",
        '_TEMPLATE.sub("", _MARKER.sub("", text))',
        '_MARKER.sub("", text)',
        "tests/unit/test_model_reply.py::test_thinking_and_markers_are_left_out",
    ),
    Bug(
        "a reply without a message is malformed also when a filter took it",
        "router/model/reply.py",
        "not messages and not _finish(choices) & _WILL_NOT",
        "not messages",
        "tests/unit/test_model_reply.py::test_a_filtered_reply_without_a_message_is_a_polite_end",
    ),
    Bug(
        "an input that is not begun when its handler is tried again behind its commit",
        "conversations/store.py",
        'is_new = known is None or known["invocation"] == invocation',
        "is_new = known is None",
        (*TALK, "run take in, after COMMIT, after input 1"),
    ),
    Bug(
        "a summary of the past that stands there as if it were to be followed",
        "router/past.py",
        "{as_data('ok', given.summary)}",
        "{given.summary}",
        "tests/unit/test_older.py::test_a_summary_is_data_of_the_customer_s_weight_whatever_it_says",
    ),
    Bug(
        "a summary of results that stands there as if it were to be followed",
        "router/older.py",
        "{as_data('ok', summary.text)}",
        "{summary.text}",
        "tests/unit/test_older.py::test_a_summary_is_data_of_the_customer_s_weight_whatever_it_says",
    ),
    Bug(
        "what is summarised, told to the model as its instructions",
        "router/older.py",
        '{"role": "user", "content": as_data("ok", lines)}',
        '{"role": "user", "content": str(lines)}',
        "tests/unit/test_older.py::test_what_is_summarised_is_data_too",
    ),
    Bug(
        "effects that vanish with the turns that made them",
        "router/older.py",
        'made = "".join(map(MADE.format, effects))',
        'made = ""',
        "tests/unit/test_older.py::test_effects_stand_beside_the_summary_of_their_turns",
    ),
    Bug(
        "what the customer said meanwhile, gone with the turn before which it was read",
        "router/transcript.py",
        "*(text for turn in turns[:told] for text in turn.inputs), ",
        "",
        "tests/unit/test_older.py::test_what_the_customer_said_meanwhile_is_never_summarised",
    ),
    Bug(
        "what a model did not read, counted as a turn",
        "router/run.py",
        "turns=sum(turn.was_read for turn in self.turns)",
        "turns=len(self.turns)",
        "tests/unit/test_older.py::test_what_the_model_did_not_read_is_no_turn_of_the_budget_and_no_silence",
    ),
    Bug(
        "a question that is parted from its answer by a summary",
        "conversations/store.py",
        "AND r.epoch > $2 AND r.run",
        "AND e.position > $2 AND r.run",
        DURABLE + "test_compaction.py::test_a_question_that_waited_is_never_parted_from_its_answer",
    ),
    Bug(
        "a summary that comes too late and takes the place of the later one",
        "conversations/store.py",
        "s.upto < (SELECT max(upto)",
        "s.upto > (SELECT min(upto)",
        DURABLE + "test_compaction.py::test_a_summary_that_is_told_twice_or_too_late_changes_nothing",
    ),
    Bug(
        "tasks that are forgotten with what was summarised",
        "router/past.py",
        "if given.facts.tasks:",
        "if False:",
        DURABLE + "test_compaction.py::test_tasks_of_what_was_summarised_are_still_known",
    ),
    Bug(
        "a customer who waits for a summary",
        "router/converse.py",
        """    _send(ctx, given, "finished", report)
    if run is not None:
        await _remembered(ctx, given, run, remember)
""",
        """    if run is not None:
        await _remembered(ctx, given, run, remember)
    _send(ctx, given, "finished", report)
""",
        DURABLE + "test_compaction.py::test_no_customer_waits_for_a_summary",
    ),
    Bug(
        "a summary that is paid for after a stop",
        "router/compaction.py",
        "if cuts and not run.stopped:",
        "if cuts:",
        DURABLE + "test_compaction.py::test_a_run_that_was_stopped_asks_for_no_summary",
    ),
    Bug(
        "a report that is refused for its length",
        "conversations/conversation.py",
        """    @accepted("finished")
    @checked_own
""",
        """    @accepted("finished")
    @checked
""",
        DURABLE + "test_compaction.py::test_an_answer_as_long_as_a_model_can_write_is_reported_and_read_again",
    ),
    Bug(
        "an export that names what opens a result",
        "conversations/store.py",
        '["conversation_id", "user_id", "key", "invocation"]',
        '["conversation_id", "user_id", "key"]',
        DURABLE + "test_conversation_erasing.py::test_an_export_holds_all_that_is_kept",
    ),
    Bug(
        "an export that leaves its text in a journal",
        "conversations/conversation.py",
        ", ingress_private=True, journal_retention=timedelta(0)",
        ", ingress_private=True",
        DURABLE + "test_conversation_erasing.py::test_an_export_leaves_nothing_behind",
    ),
    Bug(
        "a stream that ended early is taken for a reply",
        "router/model/stream.py",
        'if not done and not any(choice.get("finish_reason") for choice in whole["choices"]):',
        "if False:",
        DURABLE + "test_streamed_replies.py::test_a_stream_that_breaks_off_within_a_call_makes_no_call[early_end]",
    ),
]
