"""Strawberry, over ASGI, with connections of its own making: cursors of Relay, and lists by offset."""

import base64
import os
from typing import Optional

import strawberry
import uvicorn
from strawberry.asgi import GraphQL

COUNT = int(os.environ["ITEMS"])


@strawberry.type
class Owner:
    id: int
    name: str


@strawberry.type
class Item:
    id: int
    name: Optional[str]
    amount: float
    day: str
    flag: bool
    owner: Optional[Owner]
    labels: list[str]

    @strawberry.field
    def fragile(self) -> Optional[int]:
        if self.id % 10 == 4:
            raise ValueError("the fragile part is broken")
        return self.id


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: Optional[str]


@strawberry.type
class Edge:
    cursor: str
    node: Item


@strawberry.type
class Items:
    edges: list[Edge]
    nodes: list[Item]
    page_info: PageInfo
    total_count: int


def item(number: int) -> Item:
    return Item(
        id=number,
        name=None if number % 7 == 0 else f'item {number} é "x"',
        amount=number / 4,
        day="2024-02-29",
        flag=number % 2 == 0,
        owner=None if number % 10 == 9 else Owner(id=number % 3, name=f"owner {number % 3}"),
        labels=[f"label {label}" for label in range(number % 4)],
    )


ALL = [item(number) for number in range(1, COUNT + 1)]


def cursor(of: Item) -> str:
    return base64.b64encode(str(of.id).encode()).decode()


@strawberry.type
class Query:
    @strawberry.field
    def items(self, first: int = 10, after: Optional[str] = None) -> Items:
        begin = int(base64.b64decode(after)) if after else 0
        nodes = ALL[begin : begin + first]
        return Items(
            edges=[Edge(cursor=cursor(node), node=node) for node in nodes],
            nodes=nodes,
            page_info=PageInfo(has_next_page=begin + first < COUNT, end_cursor=cursor(nodes[-1]) if nodes else None),
            total_count=COUNT,
        )

    @strawberry.field
    def items_from(self, offset: int = 0, limit: int = 10) -> list[Item]:
        return ALL[offset : offset + limit]


application = GraphQL(strawberry.Schema(Query), graphql_ide=None)


async def guarded(scope, receive, send):
    """Asks for the token where there is one."""
    token = os.environ.get("TOKEN")
    if scope["type"] == "http" and token:
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        if given != f"Bearer {token}":
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"detail": "Forbidden"}'})
            return
    await application(scope, receive, send)


uvicorn.run(guarded, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="info")
