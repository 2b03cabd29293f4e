"""What a conversation is told of an effect that can be undone, before it is made."""

from contracts import Undo, UndoNoted
from router.calls.call import Within
from router.turn import Plan


def note(run: Within, plan: Plan) -> None:
    """Tell the conversation how the effect of this plan can be undone, before it is made. A single question has none
    who could ask for it."""
    conversation = run.facts.conversation
    if not conversation or not plan.compensate:
        return
    undo = Undo(
        call=plan.call_id,
        run_id=run.id,
        tool=plan.tool,
        service=plan.service,
        handler=plan.compensate,
        key=plan.key,
        body=plan.body,
        apart=plan.apart,
    )
    noted = UndoNoted(run=run.of, undo=undo).model_dump_json().encode()
    run.ctx.generic_send("Conversation", "will_do", noted, key=conversation)
