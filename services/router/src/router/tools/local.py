"""The router's own tools, declared with the same fields as remote ones."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from restate import TerminalError

from contracts import Caller, Tool
from router.calls.call import LocalTool
from router.catalogue import Offers
from router.shelf import FIND_TOOLS
from router.tools.articles import ArticleIndex, SearchHelpArticles, search_help_articles
from router.tools.find import FindTools, find_tools
from router.tools.people import HAND_OVER, HandOverToPerson, hand_over_to_person
from router.tools.status import CheckServiceStatus, StatusPage, StatusUnavailable, check_service_status

Input = TypeVar("Input", bound=BaseModel)


def local_tools(index: ArticleIndex, page: StatusPage, offers: Offers) -> dict[str, LocalTool]:
    """All local tools by name. One of them finds further tools among `offers`."""

    async def status(request: CheckServiceStatus, _: Caller) -> BaseModel:
        try:
            return await check_service_status(page, request)
        except StatusUnavailable:
            raise TerminalError("the status page cannot be read now", status_code=424) from None

    async def articles(request: SearchHelpArticles, _: Caller) -> BaseModel:
        return search_help_articles(index, request)

    async def find(request: FindTools, caller: Caller) -> BaseModel:
        return await find_tools(offers, request, caller)

    async def hand_over(_request: HandOverToPerson, _caller: Caller) -> BaseModel:
        return hand_over_to_person()

    tools = [
        _local(FIND_TOOLS, find_tools.__doc__, FindTools, find, seconds=5),
        _local(HAND_OVER, hand_over_to_person.__doc__, HandOverToPerson, hand_over, seconds=5),
        _local("check_service_status", check_service_status.__doc__, CheckServiceStatus, status, seconds=8),
        _local("search_help_articles", search_help_articles.__doc__, SearchHelpArticles, articles, seconds=5),
    ]
    return {entry.tool.name: entry for entry in tools}


def _local(
    name: str,
    doc: str | None,
    model: type[Input],
    action: Callable[[Input, Caller], Awaitable[BaseModel]],
    seconds: float,
) -> LocalTool:
    async def run(arguments: bytes, caller: Caller) -> BaseModel:
        try:
            request = model.model_validate_json(arguments)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = ".".join(str(part) for part in problem["loc"])
            raise TerminalError(f"{field}: {problem['msg']}", status_code=422) from None
        return await action(request, caller)

    tool = Tool(
        name=name,
        description=" ".join((doc or "").split()),
        parameters=model.model_json_schema(),
        readonly=True,
        timeout=seconds,
    )
    return LocalTool(tool, run)
