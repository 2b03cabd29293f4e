"""Undoing what a run did: noted before it is done, asked for by a rollback or a member of staff, told when it is over.

The router makes the calls that undo (`RouterUndo`); here it is decided which, and written down what became of them.
"""

import restate
from restate import ObjectContext, RunOptions

from contracts import Undoing, Undone, UndoNoted, UndoRun, UndoWanted
from conversations.acting import STATE, Parts, act, until_done, wake
from conversations.control import Control, take_undo
from conversations.following import Noted
from conversations.people import opened
from runtime.checked import RAW, checked, checked_own


def add_undoing(service: restate.VirtualObject, parts: Parts) -> None:
    """The handlers that have to do with it; of these, Restate's ingress lets in the one for staff alone."""
    accepted = until_done(service)

    @service.handler("undo", input_serde=RAW)
    @checked
    async def undo_run(ctx: ObjectContext, asked: UndoRun) -> Undoing:  # pyright: ignore[reportUnusedFunction]
        """Stop a run, if it is at work, and undo what it did."""
        before, owner, name = await opened(ctx, asked, parts)
        told = (ctx.key(), owner, before, asked.run, ctx.uuid().hex, name)
        requested = await ctx.run_typed("ask to undo", parts.store.undo, RunOptions(), *told)
        await act(ctx, take_undo(before, requested.undoing.run), None)
        for approval in requested.withdrawn:
            wake(ctx, approval)
        if requested.wanted:
            undo_effects(ctx, requested.wanted)
        return requested.undoing

    @accepted("will_do")
    @checked_own
    async def note(ctx: ObjectContext, noted: UndoNoted) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Keep how an effect can be undone that a run is about to make."""
        control = await ctx.get(STATE, type_hint=Control)
        if control and control.owner:
            told = (ctx.key(), control.owner, noted)
            await ctx.run_typed("note effect", parts.store.note_effect, RunOptions(), *told)
        return Noted()

    @accepted("undone")
    @checked
    async def keep(ctx: ObjectContext, undone: Undone) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Keep what became of undoing an effect, and tell the customer."""
        control = await ctx.get(STATE, type_hint=Control)
        if control and control.owner:
            told = (ctx.key(), control.owner, undone)
            await ctx.run_typed("keep undone", parts.store.keep_undone, RunOptions(), *told)
        return Noted()


def undo_effects(ctx: ObjectContext, wanted: UndoWanted) -> None:
    """Have the router undo them."""
    ctx.generic_send("RouterUndo", "run", wanted.model_dump_json().encode())
