"""The baseline: the same agent in the plain style of Restate's own Python examples, kept as it is on purpose.

One handler; a `ctx.run_typed` with the ordinary OpenAI client for each model call, another for the database tool;
the ticket by a call of a service that inserts in `ctx.run_typed`; served by hypercorn with its defaults.
"""

import asyncio
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import hypercorn.asyncio
import restate
from hypercorn.config import Config
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessage
from pydantic import BaseModel
from restate import RunOptions

HERE = Path(__file__).parent
SYSTEM_PROMPT = (HERE / "baseline_prompt.txt").read_text().strip()
ACCOUNT_QUERY = (HERE / "baseline_account.sql").read_text()
"""The prompt and the query of our own agent when the bars were set: what it asks does not change with our code."""

client = AsyncOpenAI()
pool: Any

agent = restate.Service("PlainAgent")
tickets = restate.Service("PlainTickets")


class Prompt(BaseModel):
    message: str
    user_id: str


class Answer(BaseModel):
    text: str
    tickets: list[str]


class NewTicket(BaseModel):
    user_id: str = ""
    subject: str
    description: str


class Ticket(BaseModel):
    ticket_id: str
    subject: str
    status: str
    created_at: datetime


TOOLS = json.loads(os.environ["TOOLS"])
"""The tools that our router offers, so that both send the model the same request."""


@agent.handler()
async def run(ctx: restate.Context, prompt: Prompt) -> Answer:
    messages: list[Any] = [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": prompt.message},
    ]
    ticket_ids: list[str] = []
    while True:
        message = await ctx.run_typed("LLM call", call_llm, RunOptions(max_attempts=3), messages=messages)
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return Answer(text=message.content or "", tickets=ticket_ids)
        tool_calls: list[Any] = message.tool_calls
        for call in tool_calls:
            arguments = json.loads(call.function.arguments)
            if call.function.name == "query_user_database":
                result = await ctx.run_typed("query_user_database", query_user_database, user_id=prompt.user_id)
            else:
                new = NewTicket(**arguments | {"user_id": prompt.user_id})
                ticket = await ctx.service_call(create, new)
                ticket_ids.append(ticket.ticket_id)
                result = ticket.model_dump_json()
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


async def call_llm(messages: list[Any]) -> ChatCompletionMessage:
    response = await client.chat.completions.create(model="gpt-4.1-mini", messages=messages, tools=TOOLS)
    return response.choices[0].message


async def query_user_database(user_id: str) -> str:
    return await pool.fetchval(ACCOUNT_QUERY, user_id) or "no such customer"


@tickets.handler()
async def create(ctx: restate.Context, new: NewTicket) -> Ticket:
    ticket_id = str(ctx.uuid())
    return await ctx.run_typed("insert ticket", insert_ticket, ticket_id=ticket_id, new=new)


async def insert_ticket(ticket_id: str, new: NewTicket) -> Ticket:
    row = await pool.fetchrow(
        "INSERT INTO bench.tickets (ticket_id, user_id, subject, description) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (ticket_id) DO UPDATE SET ticket_id = $1 RETURNING ticket_id, subject, status, created_at",
        ticket_id,
        new.user_id,
        new.subject,
        new.description,
    )
    return Ticket(**row)


app = restate.app(services=[agent, tickets])


async def main() -> None:
    global pool
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], server_settings={"search_path": "users"})
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['PORT']}"]
    await hypercorn.asyncio.serve(app, config)


if __name__ == "__main__":
    asyncio.run(main())
